import t from 'tap'
import { unavailable } from '../../../src/oci/errors.ts'
import { createRateLimit, type RateLimitOptions } from '../../../src/upstream/rate-limit/rate-limit.ts'
import { UpstreamRateLimited } from '../../../src/upstream/errors.ts'
import { ratesFor } from '../../../src/upstream/rate-limit/quay-limits.ts'
import { fakeClock, settled, staying } from '../../concurrency/fake-clock.ts'
import { failure, manifestRequest, told } from '../upstream.ts'
import type { SendUpstream, UpstreamKind, UpstreamResponse } from '../../../src/upstream/request.ts'

const answer = { status: 200 } as unknown as UpstreamResponse

const budgetFor = (options: Partial<RateLimitOptions> = {}) => {
  const clock = fakeClock()
  const observed: string[] = []
  const waits: number[] = []
  /** What upstream does with the next requests; with all further ones it is content. */
  const outcomes: Error[] = []
  const asked: string[] = []
  const upstream: SendUpstream = async ({ requester, kind }) => {
    asked.push(`${requester} ${kind}`)
    const error = outcomes.shift()
    if (error !== undefined) throw error
    return answer
  }
  const rateLimited = createRateLimit({
    maxInFlight: 256,
    rates: ratesFor(1),
    observeWait: (_kind, seconds) => void waits.push(seconds),
    observeRefused: (kind, why) => void observed.push(`${kind} refused: ${why}`),
    observePause: (kind, seconds) => void observed.push(`${kind} paused for ${seconds}`),
    clock,
    ...options,
  })(upstream)
  const send = (requester: string, kind: UpstreamKind = 'manifest', signal?: AbortSignal) =>
    rateLimited({ ...manifestRequest, requester, kind, signal })
  const sendBehind = (kind: UpstreamKind) =>
    rateLimited({ ...manifestRequest, requester: 'walk', kind, priority: 'background' })
  return { clock, send, sendBehind, asked, outcomes, observed, waits }
}

const limited = (seconds?: number) => new UpstreamRateLimited('no', seconds)

await t.test(
  'a loop over tags uses up the limit for tags, and takes turns with other requesters',
  async (test) => {
    const { clock, send, asked, observed, waits } = budgetFor()
    const loop = Array.from({ length: 20 }, () => send('mallory', 'tags'))
    const all = Promise.allSettled(loop)
    await settled()
    test.strictSame(asked, ['mallory tags'])
    const alice = send('alice', 'tags')
    for (const kind of ['manifest', 'blob', 'referrers'] as const)
      test.equal(await send('alice', kind), answer)
    test.equal(asked.length, 4, 'the other kinds are not waited for')
    await clock.pass(223)
    test.equal(asked[4], 'mallory tags')
    await clock.pass(223)
    test.equal(await alice, answer)
    test.equal(asked[5], 'alice tags', 'behind one of the loop, not behind all')
    await clock.pass(3000)
    const outcomes = await all
    test.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 13)
    test.equal(observed.filter((line) => line === 'tags refused: own-queue').length, 5)
    test.equal(observed.filter((line) => line === 'tags refused: time').length, 2)
    test.ok(waits.every((seconds) => seconds <= 3))
    test.equal(waits.filter((seconds) => seconds === 0).length, 4)
  },
)

await t.test('without rates no request waits', async (test) => {
  const { send, asked, waits } = budgetFor({ rates: undefined })
  await Promise.all(Array.from({ length: 200 }, () => send('alice', 'tags')))
  test.equal(asked.length, 200)
  test.ok(waits.every((seconds) => seconds === 0))
})

await t.test('waiting requests and requests in flight are bounded, also without rates', async (test) => {
  const { send } = budgetFor({ rates: undefined, maxInFlight: 1, maxQueued: 2 })
  const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => send('alice')))
  test.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 3)
})

await t.test('after a 429 the request waits and is sent again', async (test) => {
  for (const rates of [undefined, ratesFor(1)]) {
    const { clock, send, asked, outcomes, observed } = budgetFor({ rates })
    outcomes.push(limited(2))
    const first = send('alice')
    await settled()
    const second = send('bob')
    await clock.pass(1999)
    test.strictSame(asked, ['alice manifest'])
    test.equal(await send('bob', 'blob'), answer, 'another kind is not paused')
    await clock.pass(1)
    await clock.pass(30)
    test.equal(await first, answer)
    test.equal(await second, answer)
    test.strictSame(asked.toSorted(), ['alice manifest', 'alice manifest', 'bob blob', 'bob manifest'])
    test.strictSame(observed, ['manifest paused for 2'])
  }
})

await t.test(
  'a pause that is too long is a 429 with the rest of it, and no request is sent meanwhile',
  async (test) => {
    const { clock, send, asked, outcomes, observed } = budgetFor()
    outcomes.push(limited(60))
    test.equal(told(await failure(send('alice'))), '429 TOOMANYREQUESTS 60')
    await clock.pass(20_000)
    const error = await failure(send('bob'))
    test.ok(error instanceof UpstreamRateLimited)
    test.equal(told(error), '429 TOOMANYREQUESTS 40')
    test.equal(asked.length, 1)
    test.strictSame(observed, [
      'manifest paused for 60',
      'manifest refused: paused',
      'manifest refused: paused',
    ])
  },
)

await t.test(
  'without Retry-After each pause is longer, until it is too long; a success resets that',
  async (test) => {
    const { clock, send, outcomes, observed } = budgetFor()
    outcomes.push(limited(), limited())
    const first = failure(send('alice'))
    await clock.pass(1000)
    test.equal(told(await first), '429 TOOMANYREQUESTS 2')
    await clock.pass(2000)
    test.equal(await send('alice'), answer)
    outcomes.push(limited())
    const next = send('alice')
    await clock.pass(1100)
    test.equal(await next, answer)
    test.strictSame(observed, [
      'manifest paused for 1',
      'manifest paused for 2',
      'manifest refused: paused',
      'manifest paused for 1',
    ])
  },
)

await t.test('a request is sent three times at most', async (test) => {
  const { clock, send, outcomes, asked } = budgetFor()
  outcomes.push(...Array.from({ length: 9 }, () => limited(1)))
  const error = failure(send('alice'))
  await clock.pass(3000)
  test.equal(told(await error), '429 TOOMANYREQUESTS 1')
  test.equal(asked.length, 3)
})

await t.test('any other failure neither extends nor resets the pause', async (test) => {
  const { clock, send, outcomes, observed } = budgetFor()
  const broken = unavailable('broken')
  outcomes.push(limited(), broken, limited())
  const first = failure(send('alice'))
  await clock.pass(1000)
  test.equal(await first, broken)
  const second = send('alice')
  await clock.pass(3000)
  test.equal(await second, answer)
  test.strictSame(observed, ['manifest paused for 1', 'manifest paused for 2'])
})

await t.test('a request is not sent again after its caller left', async (test) => {
  const { clock, send, outcomes, asked } = budgetFor()
  const goes = new AbortController()
  outcomes.push(limited(1))
  const error = failure(send('alice', 'manifest', goes.signal))
  await settled()
  goes.abort()
  test.equal(told(await error), '503 UNAVAILABLE 5')
  await clock.pass(3000)
  test.strictSame(asked, ['alice manifest'])
})

await t.test('the clock of the system is the default', async (test) => {
  staying(test)
  const asked: string[] = []
  const send = createRateLimit({
    maxInFlight: 256,
    rates: { ...ratesFor(1), manifest: { perSecond: 100, burst: 1 } },
    observeWait: () => undefined,
    observeRefused: () => undefined,
    observePause: () => undefined,
  })(async ({ requester }) => {
    asked.push(requester)
    return answer
  })
  await Promise.all(['a', 'a', 'b'].map((requester) => send({ ...manifestRequest, requester })))
  test.strictSame(asked, ['a', 'a', 'b'])
})

await t.test('a background request waits for a minute, and delays no other request', async (test) => {
  const { clock, send, sendBehind, asked, waits } = budgetFor()
  const loop = Array.from({ length: 12 }, () => send('mallory', 'tags'))
  const walk = sendBehind('tags')
  await clock.pass(2440)
  test.notOk(asked.includes('walk tags'))
  await clock.pass(3000)
  await Promise.all(loop)
  test.equal(await walk, answer)
  test.equal(asked.at(-1), 'walk tags')
  test.equal(asked.length, 13)
  test.equal(waits.length, 12, 'the wait of nobody is not measured')
})

await t.test('given buckets are used, one for each kind with a rate', async (test) => {
  const made: string[] = []
  let tokens = 1
  const { clock, send, observed } = budgetFor({
    tokenBucket: (kind, { burst }) => {
      made.push(`${kind} ${burst}`)
      return { take: () => tokens-- > 0, opensInMs: () => 1000, drain: () => undefined }
    },
  })
  test.strictSame(made, ['manifest 9', 'blob 45', 'tags 1', 'referrers 1'])
  test.equal(await send('alice', 'tags'), answer)
  const refused = failure(send('alice', 'tags'))
  await clock.pass(3000)
  test.equal(told(await refused), '429 TOOMANYREQUESTS 1')
  test.strictSame(observed, ['tags refused: time'])
  tokens = 1
  test.equal(await send('alice', 'tags'), answer)
})
