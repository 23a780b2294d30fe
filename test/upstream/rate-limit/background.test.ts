import t from 'tap'
import { Background, type BackgroundOptions } from '../../../src/upstream/rate-limit/background.ts'

const backgroundFor = (options: Partial<BackgroundOptions> = {}) => {
  const clock = { now: 1000 }
  const background = new Background({
    rate: { perSecond: 10, burst: 10 },
    maxInFlight: 8,
    now: () => clock.now,
    ...options,
  })
  return { clock, background }
}

await t.test('half of the burst stays for the foreground', (test) => {
  const { clock, background } = backgroundFor({ maxInFlight: 100 })
  for (let taken = 0; taken < 5; taken++) {
    test.ok(background.mayGo(true, true))
    background.went(false)
  }
  test.notOk(background.mayGo(true, true))
  clock.now += 100
  test.ok(background.mayGo(true, true), 'what comes back is for both')
  for (let taken = 0; taken < 20; taken++) background.foregroundWent()
  clock.now += 500
  test.notOk(background.mayGo(true, true), 'after the others it waits until half is there again')
  clock.now += 100
  test.ok(background.mayGo(true, true))
  test.end()
})

await t.test('a small burst is for the background after a second without foreground requests', (test) => {
  for (const burst of [1, 2]) {
    const { clock, background } = backgroundFor({ rate: { perSecond: 5, burst } })
    test.ok(background.mayGo(true, true))
    background.foregroundCame()
    test.notOk(background.mayGo(true, true))
    clock.now += 999
    test.notOk(background.mayGo(true, true))
    clock.now += 1
    test.ok(background.mayGo(true, true))
  }
  test.end()
})

await t.test('the background waits behind all others, but not for ever', (test) => {
  const { clock, background } = backgroundFor()
  background.came(true)
  clock.now += 9999
  background.came(false)
  test.notOk(background.mayGo(false, true))
  test.notOk(background.isStarved())
  clock.now += 1
  test.ok(background.isStarved())
  test.ok(background.mayGo(false, true))
  background.went(true)
  test.notOk(background.mayGo(false, true), 'one of them')
  clock.now += 10_000
  test.ok(background.mayGo(false, true))
  test.end()
})

await t.test('without a limit, the background only waits for waiting requests', (test) => {
  for (const rate of [undefined, { perSecond: 10, burst: 10 }]) {
    const { background } = backgroundFor({ rate })
    for (let taken = 0; taken < 20; taken++) background.foregroundWent()
    test.ok(background.mayGo(true, false))
    background.came(true)
    test.notOk(background.mayGo(false, false))
  }
  test.end()
})

await t.test('the background has half of the requests in flight at most', (test) => {
  for (const [maxInFlight, most] of [
    [8, 4],
    [1, 1],
  ] as const) {
    const { background } = backgroundFor({ maxInFlight, rate: undefined })
    for (let taken = 0; taken < most; taken++) background.went(false)
    test.notOk(background.mayGo(true, false))
    background.released()
    test.ok(background.mayGo(true, false))
  }
  test.end()
})

await t.test('a 429 pauses the background for longer than the foreground', (test) => {
  const { clock, background } = backgroundFor()
  const after = (ms: number) => {
    clock.now += ms
    return background.mayGo(true, false)
  }
  background.limited(clock.now, undefined)
  test.strictSame([after(0), after(4999), after(1)], [false, false, true])
  background.limited(clock.now, undefined)
  test.strictSame([after(9999), after(1)], [false, true], 'twice as long each time')
  background.served(clock.now)
  background.limited(clock.now, undefined)
  test.strictSame([after(4999), after(1)], [false, true])
  background.limited(clock.now, 7)
  test.strictSame([after(13_999), after(1)], [false, true], 'twice what upstream says')
  background.limited(clock.now, undefined)
  background.came(true)
  test.notOk(after(10_000) && background.isStarved(), 'however long it waits')
  test.end()
})
