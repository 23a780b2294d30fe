import { rootCertificates } from 'node:tls'
import t, { type Test } from 'tap'
import { createSender, type SenderOptions } from '../../src/upstream/sender.ts'
import { recordTraces } from '../support/tracing.ts'
import { quayFor, robot } from '../sandbox/quay/quay-client.ts'

const setUp = async (test: Test, options: Partial<SenderOptions> = {}) => {
  const quay = await quayFor(test)
  const credentials = [robot]
  const refused: string[] = []
  const { send, close } = createSender({
    upstream: new URL(quay.url),
    upstreamCa: undefined,
    upstreamRepository: quay.repository,
    maxUpstreamConnections: 8,
    credentials: () => credentials,
    upstreamLimits: 'none',
    replicas: 1,
    stallTimeoutMs: 10_000,
    observe: {
      refused: (reason) => void refused.push(reason),
      request: () => undefined,
      hedge: () => undefined,
      circuitOpen: () => undefined,
      wait: () => undefined,
      limited: () => undefined,
      paused: () => undefined,
    },
    ...options,
  })
  test.teardown(close)
  const list = async () => {
    const { status, body } = await send({
      method: 'GET',
      path: `/v2/${quay.repository}/tags/list`,
      headers: {},
      kind: 'tags',
      requester: 'alice',
    })
    await body.discard()
    return status
  }
  return { quay, list, refused }
}

await t.test('a request is sent as the robot, with and without limits and authorities', async (test) => {
  for (const options of [{}, { upstreamLimits: 'quay', upstreamCa: rootCertificates[0]! }] as const) {
    const { quay, list, refused } = await setUp(test, options)
    test.equal(await list(), 200)
    test.match(quay.requests.at(-1)?.headers.authorization, /^Bearer /)
    test.strictSame(refused, [])
  }
})

await t.test('each stage has a span, the outer ones first', async (test) => {
  const { tracing, within, names, named } = recordTraces()
  const { list } = await setUp(test, { tracing })
  await within(list)
  test.strictSame(names(), [
    'circuit breaker',
    'rate limit',
    'follow redirects',
    'robot credential',
    'robot login',
    'robot login',
    'GET',
  ])
  test.match(named('robot login')?.attributes, {
    'http.request.method': 'GET',
    'server.address': '127.0.0.1',
    'http.response.status_code': 401,
  })
})
