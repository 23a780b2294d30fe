import t, { type Test } from 'tap'
import { parseReference, parseRepository } from '../../src/oci/reference.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { enterSpans, startSpans } from '../../src/server/trace-requests.ts'
import {
  noTracing,
  type Attributes,
  type RequestSpanOptions,
  type Tracing,
} from '../../src/tracing/tracing.ts'
import { alice, allowed, bareApp, listen, refused } from '../registry/fakes.ts'
import { until } from '../support/until.ts'

const traceId = 'a'.repeat(32)

const start = async (test: Test, isSampled = true) => {
  const started: RequestSpanOptions[] = []
  const ended: { attributes: Attributes; isFailed: boolean }[] = []
  let entered = 0
  const tracing: Tracing = {
    ...noTracing,
    startRequest: (options) => {
      started.push(options)
      const run = (work: () => void) => {
        entered += 1
        work()
      }
      const end = (attributes: Attributes, isFailed: boolean) => void ended.push({ attributes, isFailed })
      return isSampled ? { traceId, run, end } : undefined
    },
  }
  const app = bareApp(test)
  startSpans(app, { tracing, serverAddress: 'quay-proxy.example' })
  enterSpans(app, { tracing, serverAddress: 'quay-proxy.example' })
  const repository = parseRepository('ocp', '4.5', 'openshift/ci')
  app.get('/tag/:name', async (request) => {
    request.identity = alice
    request.repository = repository
    request.reference = parseReference(
      repository,
      'base',
      createTagOwner(() => false),
    )
    request.decision = request.url.includes('base') ? allowed : refused
    return request.span?.traceId ?? 'none'
  })
  app.get('/broken', async (request, reply) => {
    request.failure = new RegistryError('UNAVAILABLE', 'no')
    return reply.code(503).send('no')
  })
  app.get('/healthz', async () => 'ok')
  const port = await listen(test, app)
  const get = async (path: string, headers = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
    return await response.text()
  }
  return { started, ended, get, entered: () => entered }
}

await t.test('a span names the route, the image and the kind of requester', async (test) => {
  const { started, ended, get, entered } = await start(test)
  test.equal(await get('/tag/base?token=hunter2', { 'user-agent': 'podman', traceparent: '00-x' }), traceId)
  await until(() => ended.length === 1)
  test.match(started, [{ name: 'GET /tag/:name', traceparent: '00-x', network: /./ }])
  test.equal(entered(), 2)
  test.match(ended, [
    {
      isFailed: false,
      attributes: {
        'http.request.method': 'GET',
        'http.route': '/tag/:name',
        'http.response.status_code': 200,
        'user_agent.original': 'podman',
        'server.address': 'quay-proxy.example',
        'container.image.name': 'ocp/4.5',
        'quay_proxy.image': 'ocp_4.5_base',
        'quay_proxy.requester.kind': 'user',
        'quay_proxy.decision': 'allowed',
        'quay_proxy.request_id': /./,
      },
    },
  ])
  await get('/tag/other')
  await until(() => ended.length === 2)
  test.equal(ended[1]?.attributes['quay_proxy.decision'], 'denied')
  test.notOk(JSON.stringify(ended).includes(alice.user.username), 'and not the requester')
  test.notOk(JSON.stringify(ended).includes('hunter2'))
})

await t.test('a failure, an unknown path, a probe', async (test) => {
  const { started, ended, get } = await start(test)
  await get('/broken')
  await get('/unknown')
  await get('/healthz')
  await until(() => ended.length === 2)
  test.match(ended, [
    { isFailed: true, attributes: { 'error.type': 'UNAVAILABLE', 'quay_proxy.image': undefined } },
    { isFailed: false, attributes: { 'http.route': undefined, 'http.response.status_code': 404 } },
  ])
  test.strictSame(
    started.map(({ name }) => name),
    ['GET /broken', 'GET'],
  )
})

await t.test('a request that is not sampled, and traces that are off', async (test) => {
  const { ended, get, entered } = await start(test, false)
  test.equal(await get('/tag/base'), 'none')
  test.equal(entered(), 0)
  test.strictSame(ended, [])
  const app = bareApp(test)
  startSpans(app, undefined)
  enterSpans(app, undefined)
  app.get('/', async (request) => (request.span === null ? 'not traced' : 'traced'))
  test.equal(await (await fetch(`http://127.0.0.1:${await listen(test, app)}/`)).text(), 'not traced')
})
