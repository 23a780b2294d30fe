import t from 'tap'
import { RegistryError, unavailable } from '../../src/oci/errors.ts'
import { bearer, raw, refused, routesOptions } from '../registry/fakes.ts'
import { codeOf, cut, serve } from './server-options.ts'
import { until } from '../support/until.ts'

await t.test('a bug of the proxy: 503, the stack in the log, nothing of it in the response', async (test) => {
  const { get, lines } = await serve(test, {
    fetchManifest: async () => {
      throw new TypeError('undefined is not hunter2')
    },
  })
  const { status, headers, body } = await get('/v2/ocp/4.5/manifests/base', { headers: bearer })
  test.strictSame([status, codeOf(body)], [503, 'UNAVAILABLE'])
  test.ok(Number(headers.get('retry-after')) > 0)
  test.notMatch(body, /hunter2|TypeError| at /)
  const requestId = headers.get('x-request-id')
  await until(() => lines.length === 2)
  test.match(lines, [
    {
      level: 'error',
      requestId,
      msg: 'unexpected error',
      stack: /TypeError: undefined is not hunter2\n +at /,
    },
    { level: 'warn', requestId, status: 503, error: 'UNAVAILABLE' },
  ])
})

await t.test('the framework refuses a body with 400, and the connection ends', async (test) => {
  const { port } = await serve(test)
  const heads = [
    'content-type: application/json\r\ncontent-length: 2',
    'content-type: application/x-www-form-urlencoded\r\ncontent-length: 99999',
    'content-length: 10',
  ]
  for (const fields of heads) {
    const { head, body } = cut(await raw(port, `POST /v2/auth HTTP/1.1\r\n${fields}\r\n\r\n{}`))
    test.match(head, 'http/1.1 400', fields)
    test.match(head, 'connection: close', fields)
    test.equal(codeOf(body), 'UNSUPPORTED')
  }
})

await t.test('a refused body is not waited for', async (test) => {
  const { port } = await serve(test)
  for (const fields of ['content-length: 1000000', 'transfer-encoding: chunked']) {
    const { head, body } = cut(await raw(port, `PUT /v2/a/b/manifests/c HTTP/1.1\r\n${fields}\r\n\r\n`))
    test.match(head, 'http/1.1 401')
    test.match(head, 'connection: close')
    test.equal(codeOf(body), 'UNAUTHORIZED')
  }
})

await t.test('without a body the connection lives on', async (test) => {
  const { get } = await serve(test)
  const { headers } = await get('/v2/')
  test.equal(headers.get('connection'), 'keep-alive')
  test.match(headers.get('keep-alive'), 'timeout=75')
})

await t.test('attack: repeated refusals are late; challenges and other requesters are not', async (test) => {
  const { get } = await serve(test, {
    policy: { ...routesOptions().policy, decide: async () => refused },
    refusalPace: { burst: 2, perSecond: 0.001, delayMs: 200 },
  })
  const statusAndLateness = async (headers: Record<string, string>) => {
    const began = performance.now()
    const { status } = await get('/v2/ocp/4.5/manifests/base', { headers })
    return { status, isLate: performance.now() - began >= 199 }
  }
  for (let index = 0; index < 2; index++) test.match(await statusAndLateness(bearer), { status: 403 })
  test.strictSame(await statusAndLateness(bearer), { status: 403, isLate: true })
  for (let index = 0; index < 4; index++) test.match(await statusAndLateness({}), { status: 401 })
})

await t.test('the request id in failures, and where to get help in refusals and failures', async (test) => {
  const messageFor = async (error: Error, helpUrl?: URL) => {
    const { get } = await serve(test, {
      fetchManifest: async () => {
        throw error
      },
      ...(helpUrl === undefined ? {} : { helpUrl }),
    })
    const { body, headers } = await get('/v2/ocp/4.5/manifests/base', { headers: bearer })
    const { errors } = JSON.parse(body) as { errors: { message: string }[] }
    return errors[0]?.message.replace(headers.get('x-request-id') ?? '', 'ID')
  }
  const failure = unavailable('upstream is down')
  const refusal = new RegistryError('DENIED', 'you may not')
  const missing = new RegistryError('MANIFEST_UNKNOWN', 'not here')
  test.equal(await messageFor(failure), 'upstream is down (request id ID)')
  test.equal(await messageFor(refusal), 'you may not')
  const helpUrl = new URL('https://help.example/ci')
  test.equal(
    await messageFor(failure, helpUrl),
    'upstream is down (request id ID; help: https://help.example/ci)',
  )
  test.equal(await messageFor(refusal, helpUrl), 'you may not (help: https://help.example/ci)')
  test.equal(await messageFor(missing, helpUrl), 'not here')
})

await t.test('the reason phrase of a 5xx has the message: most clients show nothing else', async (test) => {
  const messages = [
    'quay.io does not answer; try again in a moment',
    'an \u00e4\r\nx-forged: 1',
    'x'.repeat(5000),
  ]
  const { port } = await serve(test, {
    fetchManifest: async () => await Promise.reject(unavailable(messages.shift() ?? '')),
  })
  const statusLine = async (): Promise<string> => {
    const request = 'GET /v2/ocp/4.5/manifests/base HTTP/1.1\r\nconnection: close'
    return (
      (await raw(port, `${request}\r\nauthorization: ${bearer.authorization}\r\n\r\n`)).split('\r\n')[0] ?? ''
    )
  }
  test.match(
    await statusLine(),
    /^HTTP\/1\.1 503 Service Unavailable: quay\.io does not answer; try again in a moment \(request id [\w-]+/,
  )
  test.match(await statusLine(), /^HTTP\/1\.1 503 Service Unavailable: an \?\?\?x-forged: 1 \(request id/)
  test.equal((await statusLine()).length, 'HTTP/1.1 503 '.length + 400)
})

await t.test('a 4xx has the usual reason phrase', async (test) => {
  const { port } = await serve(test)
  const answer = await raw(port, 'GET /v2/ HTTP/1.1\r\nconnection: close\r\n\r\n')
  test.equal(answer.split('\r\n')[0], 'HTTP/1.1 401 Unauthorized')
})
