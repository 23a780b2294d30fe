import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { createApiClient } from '../../src/kubernetes/api-client.ts'
import { loadKubeConfig, type Credentials } from '../../src/kubernetes/kubeconfig.ts'
import { startForeign } from './answers.ts'
import { kubeConfigOf } from './kubeconfig-of.ts'

const setUp = async (test: Test, more: Partial<Credentials> = {}, path = '', timeoutMs = 10_000) => {
  const server = await startForeign(test)
  const config = kubeConfigOf(server.port).replace(`:${server.port}'`, `:${server.port}${path}'`)
  const kubeConfig = loadKubeConfig(join(test.testdir({ config }), 'config'))
  for (const [name, value] of Object.entries(more)) Object.defineProperty(kubeConfig, name, { value })
  const client = createApiClient({ kubeConfig, timeoutMs })
  test.teardown(() => client.close())
  return { server, client }
}

await t.test('the question as it is, and the answer as it is', async (test) => {
  const { server, client } = await setUp(test)
  server.answer = { status: 201, body: 'text', headers: { 'retry-after': '5' } }
  test.strictSame(await client.ask('/x', '{"a":1}'), { status: 201, text: 'text', retryAfter: '5' })
  test.strictSame(server.bodies, ['{"a":1}'])
})

await t.test('an API server behind a path', async (test) => {
  for (const path of ['/k8s/clusters/c', '/k8s/clusters/c/', '/']) {
    const { server, client } = await setUp(test, {}, path)
    server.answer = { status: 201, body: 'text' }
    test.match(await client.ask('/x', '{}'), { status: 201 }, path)
  }
})

await t.test('more than a review can be is not read', async (test) => {
  const { server, client } = await setUp(test)
  server.answer = { status: 201, body: 'x'.repeat(3_000_000) }
  await test.rejects(client.ask('/x', '{}'), { name: 'NotAReview', message: 'it answered 201 with too much' })
  test.equal(server.asked, 1)
})

await t.test('a 401 is asked once again only where who we are may have changed', async (test) => {
  for (const [canRenew, asked] of [
    [true, 2],
    [false, 1],
  ] as const) {
    const { server, client } = await setUp(test, { canRenew })
    server.answer = { status: 401, body: '' }
    test.match(await client.ask('/x', '{}'), { status: 401 })
    test.equal(server.asked, asked)
  }
})

await t.test('who we are takes no longer than the question may', async (test) => {
  const { server, client } = await setUp(
    test,
    {
      applySecurityAuthentication: async () => await new Promise(() => undefined),
    },
    '',
    100,
  )
  await test.rejects(client.ask('/x', '{}'), { name: 'TimeoutError' })
  test.equal(server.asked, 0)
})

await t.test('5xx once again', async (test) => {
  const { server, client } = await setUp(test)
  server.answer = { status: 500, body: '' }
  test.match(await client.ask('/x', '{}'), { status: 500 })
  test.equal(server.asked, 2)
})

await t.test('nobody listens: once again, then the error', async (test) => {
  const { client } = await setUp(test, {
    getCurrentCluster: () => ({ name: 'c', server: 'http://127.0.0.1:1', skipTLSVerify: true }),
  })
  await test.rejects(client.ask('/x', '{}'), { code: 'ECONNREFUSED' })
})
