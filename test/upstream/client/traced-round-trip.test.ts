import t from 'tap'
import { noTracing, type Attributes, type StageOptions } from '../../../src/tracing/tracing.ts'
import type { RoundTrip } from '../../../src/upstream/client/round-trip.ts'
import { tracedRoundTrip } from '../../../src/upstream/client/traced-round-trip.ts'

const body = { pipeTo: async () => undefined, discard: async () => undefined }
const roundTrip: RoundTrip = async () => await Promise.resolve({ statusCode: 206, headers: {}, body })

await t.test('the span of a round trip has the name of its method, and not its URL', async (test) => {
  const told: unknown[] = []
  const stage = ((
      name: (...args: Parameters<RoundTrip>) => string,
      run: RoundTrip,
      options: StageOptions<RoundTrip>,
    ) =>
    async (...args: Parameters<RoundTrip>) => {
      const asked: Attributes | undefined = options.requestAttributes?.(...args)
      const reply = await run(...args)
      told.push([name(...args), options.isClient, { ...asked, ...options.answerAttributes?.(reply) }])
      return reply
    }) as typeof noTracing.stage
  const send = tracedRoundTrip({ stage }, roundTrip)
  const { signal } = new AbortController()
  const request = { kind: 'blob', method: 'GET', headers: {}, signal } as const
  for (const url of [
    'https://cdn.example/a?signature=hunter2',
    'http://cdn.example/a',
    'http://cdn.example:81/a',
  ])
    await send(new URL(url), request)
  const common = {
    'http.request.method': 'GET',
    'server.address': 'cdn.example',
    'quay_proxy.request.kind': 'blob',
    'http.response.status_code': 206,
  }
  test.strictSame(
    told,
    [443, 80, 81].map((port) => ['GET', true, { ...common, 'server.port': port }]),
  )
})

await t.test('without traces, it is the round trip itself', async (test) => {
  test.equal(tracedRoundTrip(noTracing, roundTrip), roundTrip)
})
