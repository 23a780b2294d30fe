import t from 'tap'
import { createLimiter, type LimiterOptions } from '../../../src/upstream/rate-limit/limiter.ts'
import { fakeClock, settled } from '../../concurrency/fake-clock.ts'
import { failure, told } from '../upstream.ts'

const gateFor = (options: Partial<LimiterOptions> = {}) => {
  const clock = fakeClock()
  const refused: string[] = []
  const gate = createLimiter({
    rate: { perSecond: 10, burst: 2 },
    maxInFlight: 100,
    maxPerRequester: 100,
    maxQueued: 1000,
    clock,
    observeRefused: (why) => void refused.push(why),
    ...options,
  })
  /** Who has gone, and when. */
  const gone: string[] = []
  /** In the background where the name begins with an x. */
  const enter = (name: string, signal?: AbortSignal) => {
    const [requester = ''] = name
    const priority = requester === 'x' ? 'background' : undefined
    const until = clock.now() + (priority === undefined ? 3000 : 60_000)
    const entered = gate.acquire({ requester, until, signal, priority })
    entered.then(
      () => gone.push(`${name} at ${Math.round(clock.now())}`),
      () => undefined,
    )
    return entered
  }
  const enterAll = (...names: readonly string[]) => {
    for (const name of names) enter(name).catch(() => undefined)
  }
  return { clock, gate, gone, enter, enterAll, refused }
}

await t.test('requests pass by the burst, then by the rate, and requesters take turns', async (test) => {
  const { clock, gone, enterAll } = gateFor()
  enterAll('a1', 'a2', 'a3', 'a4', 'b1')
  await settled()
  test.strictSame(gone, ['a1 at 0', 'a2 at 0'])
  await clock.pass(1000)
  test.strictSame(gone.slice(2), ['a3 at 100', 'b1 at 200', 'a4 at 300'])
  test.equal(clock.pending(), 0)
  enterAll('a5', 'a6', 'a7')
  await settled()
  test.strictSame(gone.slice(5), ['a5 at 1000', 'a6 at 1000'])
})

await t.test('a rate with onlyAfter429 applies only after a 429', async (test) => {
  const { clock, gate, gone, enterAll } = gateFor({ rate: { perSecond: 10, burst: 2, onlyAfter429: true } })
  enterAll('a1', 'a2', 'a3', 'a4')
  await settled()
  test.equal(gone.length, 4)
  gate.on429(clock.now(), 1)
  enterAll('a5', 'a6')
  await clock.pass(1200)
  test.strictSame(gone.slice(4), ['a5 at 1000', 'a6 at 1100'])
  await clock.pass(600_000)
  enterAll('a7', 'a8', 'a9', 'b1')
  await settled()
  test.equal(gone.length, 10)
})

await t.test('a waiting request is not overtaken by a later one', async (test) => {
  const { clock, gone, enterAll } = gateFor()
  enterAll('a1', 'a2', 'a3')
  await clock.pass(99)
  enterAll('b1')
  await clock.pass(1000)
  test.strictSame(gone.slice(2), ['a3 at 100', 'b1 at 200'])
})

await t.test(
  'a request is refused if it waits too long, if its requester has too many waiting, or if the queue is full',
  async (test) => {
    const bounds = { rate: { perSecond: 0.1, burst: 1 }, maxPerRequester: 2, maxQueued: 3 }
    const { clock, enter, enterAll, refused } = gateFor(bounds)
    enterAll('a0', 'a1', 'b1')
    const own = enter('a2')
    const ownError = failure(enter('a3'))
    test.equal(told(await ownError), '429 TOOMANYREQUESTS 10')
    test.match(
      (await ownError).message,
      /^you ask for more at once than .*; send fewer .* try again in 10 s$/,
    )
    const none = await failure(enter('b2'))
    test.equal(told(none), '503 UNAVAILABLE 10')
    test.match(none.message, /^too many requests wait for the upstream registry; try again in 10 s$/)
    const late = failure(own)
    await clock.pass(3000)
    test.equal(told(await late), '429 TOOMANYREQUESTS 7')
    test.match((await late).message, /^the upstream registry limits requests now; try again in 7 s$/)
    test.strictSame(refused, ['own-queue', 'queue', 'time', 'time', 'time'])
  },
)

await t.test('the number in flight is bounded, with or without a rate', async (test) => {
  const { clock, gate, gone, enterAll } = gateFor({ rate: undefined, maxInFlight: 2 })
  enterAll('a1', 'a2', 'a3', 'a4', 'b1')
  await clock.pass(1000)
  test.strictSame(gone, ['a1 at 0', 'a2 at 0'])
  gate.release()
  await clock.pass(10)
  gate.release()
  await settled()
  test.strictSame(gone.slice(2), ['a3 at 1000', 'b1 at 1010'])
  for (let left = 0; left < 3; left++) gate.release()
  await settled()
  enterAll('c1')
  await settled()
  test.strictSame(gone.slice(4), ['a4 at 1010', 'c1 at 1010'])
})

await t.test(
  'a request waits for a pause if its deadline allows it, and is refused otherwise',
  async (test) => {
    const { clock, gate, gone, enter, enterAll, refused } = gateFor({ rate: undefined })
    test.equal(gate.on429(clock.now(), 2), 2000)
    enterAll('a1', 'b1')
    await clock.pass(1999)
    test.strictSame(gone, [])
    await clock.pass(1)
    test.strictSame(gone, ['a1 at 2000', 'b1 at 2000'])
    test.equal(gate.on429(clock.now(), 9), 9000)
    test.equal(told(await failure(enter('a2'))), '429 TOOMANYREQUESTS 9')
    await clock.pass(7500)
    enterAll('a3')
    await clock.pass(1500)
    test.strictSame(gone.slice(2), ['a3 at 11000'])
    test.strictSame(refused, ['paused'])
  },
)

await t.test('after a pause the rate begins again; a longer pause extends the wait', async (test) => {
  const { clock, gate, gone, enterAll } = gateFor()
  gate.on429(clock.now(), undefined)
  enterAll('a1', 'a2')
  await clock.pass(500)
  test.equal(gate.on429(0, undefined), 0, 'that was on its way')
  test.equal(gate.on429(0, 2), 1500)
  await clock.pass(3000)
  test.strictSame(gone, ['a1 at 2500', 'a2 at 2600'])
  gate.onSuccess(clock.now())
  test.equal(gate.on429(clock.now(), undefined), 1000)
})

await t.test('an aborted request leaves the queue, with the error that upstream would give', async (test) => {
  const { clock, gone, enter, enterAll, refused } = gateFor({ rate: { perSecond: 1, burst: 1 } })
  const goes = new AbortController()
  enterAll('a0')
  const waiting = failure(enter('a1', goes.signal))
  enterAll('b1')
  goes.abort()
  test.equal(told(await waiting), '503 UNAVAILABLE 5')
  test.equal(told(await failure(enter('a2', goes.signal))), '503 UNAVAILABLE 5')
  await clock.pass(1000)
  test.strictSame(gone, ['a0 at 0', 'b1 at 1000'])
  test.strictSame(refused, [])
})

await t.test(
  'if all requests in flight hang, the error says that many wait, and not that upstream limits',
  async (test) => {
    const { clock, gate, enter, refused } = gateFor({ rate: undefined, maxInFlight: 1 })
    await enter('a1')
    const error = failure(enter('b1'))
    await clock.pass(3000)
    test.equal(told(await error), '503 UNAVAILABLE 1')
    test.match((await error).message, /^too many requests wait for the upstream registry; try again in 1 s$/)
    test.strictSame(refused, ['time'])
    gate.release()
  },
)

await t.test(
  'a background request passes if no other waits, and half of the burst stays for others',
  async (test) => {
    const { clock, gone, enterAll } = gateFor({ rate: { perSecond: 10, burst: 10 } })
    enterAll('x1', 'x2', 'x3', 'x4', 'x5', 'x6', 'x7')
    await settled()
    test.equal(gone.length, 5)
    enterAll('a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7')
    await settled()
    test.strictSame(gone.slice(5), ['a1 at 0', 'a2 at 0', 'a3 at 0', 'a4 at 0', 'a5 at 0'])
    await clock.pass(3000)
    test.strictSame(gone.slice(10, 12), ['a6 at 100', 'a7 at 200'])
    test.strictSame(
      gone.slice(12).map((line) => line.slice(0, 2)),
      ['x6', 'x7'],
    )
    test.equal(clock.pending(), 0)
  },
)

await t.test('tags: the background passes after a quiet second, or after ten seconds', async (test) => {
  const { clock, gone, enterAll } = gateFor({ rate: { perSecond: 5, burst: 1 }, maxInFlight: 1000 })
  enterAll('a1', 'x1')
  await clock.pass(2000)
  test.match(gone, ['a1 at 0', /^x1 at 1\d\d\d$/])
  // A loop of somebody's, which always has one waiting and one to come.
  for (let time = 0; time < 25_000; time += 100) {
    enterAll(`a${time}`)
    if (time === 0) enterAll('x2', 'x3', 'x4')
    await clock.pass(100)
  }
  const ofBackground = gone.filter((line) => line.startsWith('x')).map((line) => line.slice(0, 2))
  test.strictSame(ofBackground, ['x1', 'x2', 'x3'], 'one in ten seconds')
  test.ok(gone.length > 110, 'the others have all the rest')
})

await t.test('a loop without a free moment does not delay the background for longer', async (test) => {
  const { clock, gone, enterAll } = gateFor({ rate: { perSecond: 5, burst: 1 } })
  enterAll('a', 'x1')
  for (let time = 0; time < 12_000; time += 200) {
    await clock.pass(200)
    enterAll('a')
  }
  test.ok(gone.some((line) => line.startsWith('x1')))
})

await t.test('background requests can leave, run out of time, and pause for longer', async (test) => {
  const { clock, gate, gone, enter, refused } = gateFor({ maxInFlight: 2 })
  const controller = new AbortController()
  gate.on429(clock.now(), 2)
  const left = failure(enter('x1', controller.signal))
  controller.abort()
  await left
  const waiting = enter('x2')
  await clock.pass(2000)
  await enter('a1')
  test.strictSame(gone, ['a1 at 2000'])
  await clock.pass(2000)
  await waiting
  gate.release('background')
  gate.onSuccess(clock.now())
  for (let time = 0; time < 60; time++) {
    gate.on429(clock.now(), 30)
    if (time === 0) enter('x3').catch(() => undefined)
    await clock.pass(1000)
  }
  test.strictSame(refused, ['time'])
})

await t.test('a shared bucket may have a token sooner or later than it says', async (test) => {
  const bucket = { tokens: 0, saysMs: 0, drained: 0 }
  const { clock, gate, gone, enterAll } = gateFor({
    tokenBucket: () => ({
      take: () => bucket.tokens > 0 && bucket.tokens-- > 0,
      opensInMs: () => bucket.saysMs,
      drain: () => void bucket.drained++,
    }),
  })
  enterAll('a1', 'a2')
  await clock.pass(500)
  test.strictSame(gone, [], 'it says now, and has none: it is not asked without a pause')
  bucket.tokens = 1
  await clock.pass(20)
  test.equal(gone.length, 1)
  bucket.saysMs = 2000
  await clock.pass(100)
  bucket.tokens = 1
  await clock.pass(250)
  test.equal(gone.length, 2, 'sooner than it said')
  gate.on429(clock.now(), 1)
  test.equal(bucket.drained, 1)
  bucket.saysMs = 0
  enterAll('x1')
  await clock.pass(3000)
  test.equal(gone.length, 2)
  bucket.tokens = 1
  await clock.pass(250)
  test.match(gone[2], /^x1/)
})
