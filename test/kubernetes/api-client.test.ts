import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { createApiClient } from '../../src/kubernetes/api-client.ts'
import { loadKubeConfig, type Credentials } from '../../src/kubernetes/kubeconfig.ts'
import { noTracing, type Tracing } from '../../src/tracing/tracing.ts'
import { startForeign } from './answers.ts'
import { kubeConfigOf } from './kubeconfig-of.ts'

const setUp = async (
  test: Test,
  more: Partial<Credentials> = {},
  path = '',
  timeoutMs = 10_000,
  tracing?: Tracing,
) => {
  const server = await startForeign(test)
  const config = kubeConfigOf(server.port).replace(`:${server.port}'`, `:${server.port}${path}'`)
  const kubeConfig = loadKubeConfig(join(test.testdir({ config }), 'config'))
  kubeConfig.userAgent = 'quay-proxy/0.0.0'
  for (const [name, value] of Object.entries(more)) Object.defineProperty(kubeConfig, name, { value })
  const client = createApiClient({ kubeConfig, timeoutMs, tracing })
  test.teardown(() => client.close())
  return { server, client }
}

await t.test('request and response are passed unchanged', async (test) => {
  const { server, client } = await setUp(test)
  server.answer = { status: 201, body: 'text', headers: { 'retry-after': '5' } }
  test.strictSame(await client.post('/x', '{"a":1}'), { status: 201, text: 'text', retryAfter: '5' })
  test.strictSame(server.bodies, ['{"a":1}'])
  test.strictSame(server.userAgents, ['quay-proxy/0.0.0'])
})

await t.test('a traced request names the server and the status, and continues the trace', async (test) => {
  const told: unknown[] = []
  const stage: Tracing['stage'] = (name, run, options) =>
    (async (...args: Parameters<typeof run>) => {
      const answer = (await run(...args)) as Awaited<ReturnType<typeof run>>
      told.push([name, { ...options?.requestAttributes?.(...args), ...options?.answerAttributes?.(answer) }])
      return answer
    }) as unknown as typeof run
  const tracing = { ...noTracing, stage, outgoing: () => ({ traceparent: 'x' }) }
  const { server, client } = await setUp(test, {}, '', 10_000, tracing)
  server.answer = { status: 201, body: 'text' }
  await client.post('/x', '{}')
  test.strictSame(server.traceparents, ['x'])
  const attributes = {
    'http.request.method': 'POST',
    'server.address': '127.0.0.1',
    'http.response.status_code': 201,
  }
  test.strictSame(told, [['POST', attributes]])
})

await t.test('an API server may have a path', async (test) => {
  for (const path of ['/k8s/clusters/c', '/k8s/clusters/c/', '/']) {
    const { server, client } = await setUp(test, {}, path)
    server.answer = { status: 201, body: 'text' }
    test.match(await client.post('/x', '{}'), { status: 201 }, path)
  }
})

await t.test('a response that is larger than a review can be is not read', async (test) => {
  const { server, client } = await setUp(test)
  server.answer = { status: 201, body: 'x'.repeat(3_000_000) }
  await test.rejects(client.post('/x', '{}'), {
    name: 'NotAReview',
    message: 'it answered 201 with a response that is too large',
  })
  test.equal(server.asked, 1)
})

await t.test('a 401 is retried only if the credential may have been renewed', async (test) => {
  for (const [canRenew, asked] of [
    [true, 2],
    [false, 1],
  ] as const) {
    const { server, client } = await setUp(test, { canRenew })
    server.answer = { status: 401, body: '' }
    test.match(await client.post('/x', '{}'), { status: 401 })
    test.equal(server.asked, asked)
  }
})

await t.test('an exec plugin takes no longer than the deadline of the request', async (test) => {
  const { server, client } = await setUp(
    test,
    {
      applySecurityAuthentication: async () => await new Promise(() => undefined),
    },
    '',
    100,
  )
  await test.rejects(client.post('/x', '{}'), { name: 'TimeoutError' })
  test.equal(server.asked, 0)
})

await t.test('a 5xx is retried once', async (test) => {
  const { server, client } = await setUp(test)
  server.answer = { status: 500, body: '' }
  test.match(await client.post('/x', '{}'), { status: 500 })
  test.equal(server.asked, 2)
})

await t.test('a refused connection is retried once, then the request fails', async (test) => {
  const { client } = await setUp(test, {
    getCurrentCluster: () => ({ name: 'c', server: 'http://127.0.0.1:1', skipTLSVerify: true }),
  })
  await test.rejects(client.post('/x', '{}'), { code: 'ECONNREFUSED' })
})
