import { once } from 'node:events'
import { get } from 'node:http'
import { PassThrough } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import { accessLog } from '../../src/server/access-log.ts'
import { RegistryError, unavailable } from '../../src/oci/errors.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository } from '../../src/oci/reference.ts'
import { alice, allowed, bareApp, digest, listen, refused } from '../registry/fakes.ts'
import { serverOptions } from './server-options.ts'
import { until } from '../support/until.ts'

const ownerOf = createTagOwner((namespace) => namespace.endsWith('-priv'))

const start = async (test: Test) => {
  const { options, lines } = serverOptions()
  const app = bareApp(test)
  await app.register(accessLog, options.telemetry)
  const repository = parseRepository('ocp', '4.5', 'openshift/ci')
  app.get('/tag', async (request, reply) => {
    void reply.header('docker-content-digest', digest)
    request.identity = alice
    request.repository = repository
    request.reference = parseReference(repository, 'base', ownerOf)
    request.decision = allowed
    request.span = { traceId: 'a'.repeat(32), run: (work) => work(), end: () => undefined }
    return 'four'
  })
  app.get('/digest', async (request) => {
    request.reference = parseReference(repository, digest, ownerOf)
    request.decision = refused
    request.failure = new RegistryError('DENIED', 'no')
    throw request.failure
  })
  app.get('/broken', async (request) => {
    request.failure = unavailable('away', new Error('because https://cdn.example/blob?signature=hunter2'))
    throw request.failure
  })
  app.get('/login', async (request) => {
    const forLog = { reason: 'expired', tokenKind: 'jwt', unverifiedClaims: { iss: 'https://a' } }
    request.failure = new RegistryError('UNAUTHORIZED', 'no', { forLog })
    throw request.failure
  })
  app.get('/odd', async (request) => {
    request.identity = { ...alice, user: { ...alice.user, username: 5 as unknown as string } }
    return 'four'
  })
  app.get('/healthz', async () => 'ok')
  app.get('/slow', async (_request, reply) => {
    const body = new PassThrough()
    body.write('begun')
    return reply.send(body)
  })
  const port = await listen(test, app)
  return { lines, options, url: `http://127.0.0.1:${port}` }
}

await t.test('one line: identity, image, decision, response', async (test) => {
  const { url, lines } = await start(test)
  const response = await fetch(`${url}/tag?token=hunter2`, { headers: { authorization: 'Bearer hunter2' } })
  test.equal(await response.text(), 'four')
  test.equal(response.headers.get('docker-distribution-api-version'), 'registry/2.0')
  await until(() => lines.length === 1)
  test.match(lines[0], {
    level: 'info',
    msg: 'request',
    traceId: 'a'.repeat(32),
    requestId: response.headers.get('x-request-id'),
    client: '127.0.0.1',
    method: 'GET',
    route: '/tag',
    identity: 'alice',
    repository: 'ocp/4.5',
    image: 'ocp_4.5_base',
    kind: 'user',
    digest,
    namespace: 'ocp',
    grantedBy: 'ocp',
    decision: 'allowed',
    rule: 'qci-wide',
    source: 'live',
    status: 200,
  })
  test.ok(Number(lines[0]?.['bytes']) > 4)
  test.ok(Number(lines[0]?.['seconds']) < 1)
  test.notMatch(JSON.stringify(lines), 'hunter2')
  test.notHas(lines[0], { aborted: true })
})

await t.test('a refusal is logged at info, a failure upstream at warn', async (test) => {
  const { url, lines } = await start(test)
  await (await fetch(`${url}/digest`)).text()
  await (await fetch(`${url}/broken`)).text()
  await (await fetch(`${url}/nothing/here`)).text()
  await until(() => lines.length === 3)
  test.match(lines, [
    { level: 'info', image: digest, decision: 'denied', error: 'DENIED', status: 403 },
    { level: 'warn', error: 'UNAVAILABLE', status: 503, err: { cause: { message: /^because/ } } },
    { level: 'info', route: 'none', status: 404 },
  ])
  test.notMatch(JSON.stringify(lines), /hunter2|nothing/)
})

await t.test('probes are logged at debug', async (test) => {
  const { url, lines } = await start(test)
  await (await fetch(`${url}/healthz`)).text()
  await until(() => lines.length === 1)
  test.match(lines, [{ level: 'debug', route: '/healthz' }])
})

await t.test('a client that disconnects in the middle of a response is logged too', async (test) => {
  const { url, lines, options } = await start(test)
  const client = get(`${url}/slow`)
  const [response] = (await once(client, 'response')) as [NodeJS.ReadableStream]
  await once(response, 'data')
  response.on('error', () => undefined)
  client.destroy()
  await until(() => lines.length === 1)
  test.match(lines, [{ route: '/slow', status: 200, aborted: true, client: '127.0.0.1' }])
  test.match(
    await options.telemetry.metrics.registry.metrics(),
    /requests_total\{route="\/slow",method="GET",status="200"\} 1/,
  )
})

await t.test('metrics count by route, never by path', async (test) => {
  const { url, options, lines } = await start(test)
  await (await fetch(`${url}/tag?a`)).text()
  await (await fetch(`${url}/tag?b`)).text()
  await until(() => lines.length === 2)
  const metrics = await options.telemetry.metrics.registry.metrics()
  test.match(metrics, /quay_proxy_requests_total\{route="\/tag",method="GET",status="200"\} 2/)
  test.match(metrics, /quay_proxy_request_duration_seconds_count\{route="\/tag"\} 2/)
  test.match(metrics, /quay_proxy_sent_bytes_total\{route="\/tag"\} [1-9]/)
})

await t.test('the reason of a refused login, with the client program', async (test) => {
  const { url, lines } = await start(test)
  await (await fetch(`${url}/login`, { headers: { 'user-agent': 'x'.repeat(1000) } })).text()
  await until(() => lines.length === 1)
  test.match(lines[0], {
    level: 'info',
    error: 'UNAUTHORIZED',
    refused: {
      reason: 'expired',
      tokenKind: 'jwt',
      unverifiedClaims: { iss: 'https://a' },
    },
    userAgent: 'x'.repeat(200),
  })
})

await t.test('attack: an exception of the access log costs a line, and not the process', async (test) => {
  const { options, lines } = serverOptions()
  const app = bareApp(test)
  await app.register(accessLog, options.telemetry)
  app.get('/odd', async (request) => {
    request.identity = { ...alice, user: undefined as never }
    request.decision = allowed
    request.reference = parseReference(parseRepository('ocp', '4.5', 'openshift/ci'), 'base', ownerOf)
    return 'ok'
  })
  app.get('/fine', async () => 'ok')
  const url = `http://127.0.0.1:${await listen(test, app)}`
  for (const path of ['/odd', '/odd', '/fine']) test.equal((await fetch(url + path)).status, 200)
  await until(() => lines.some(({ route }) => route === '/fine'))
  const unexpected = lines.filter(({ level }) => level === 'error')
  test.match(unexpected, [{ where: 'record', stack: /username/, msg: /^unexpected error/ }])
  test.equal(unexpected.length, 1, 'each kind once')
  test.match(
    await options.telemetry.metrics.registry.metrics(),
    /requests_total\{route="\/odd",method="GET",status="200"\} 2/,
  )
})
