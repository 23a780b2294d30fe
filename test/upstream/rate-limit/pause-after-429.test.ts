import t from 'tap'
import { createPause } from '../../../src/upstream/rate-limit/pause-after-429.ts'

const pauseFor = () => {
  const clock = { now: 5000 }
  const pause = createPause(() => clock.now)
  /** Asked when the pause is over, and refused at once. */
  const limitedAfter = (retryAfterSeconds?: number) => {
    clock.now += pause.remainingMs()
    return pause.limited(clock.now, retryAfterSeconds)
  }
  return { clock, pause, limitedAfter }
}

await t.test('a pause lasts for as long as upstream says, and a second at least', async (test) => {
  const { clock, pause, limitedAfter } = pauseFor()
  test.equal(pause.remainingMs(), 0)
  test.equal(limitedAfter(7), 7000)
  test.equal(pause.remainingMs(), 7000)
  clock.now += 6999
  test.equal(pause.remainingMs(), 1)
  clock.now += 1000
  test.equal(pause.remainingMs(), 0)
  test.equal(limitedAfter(0), 1000)
})

await t.test('without Retry-After each pause is twice as long, up to 8 s, until a success', async (test) => {
  const { clock, pause, limitedAfter } = pauseFor()
  const pauses = [1, 2, 3, 4, 5].map(() => limitedAfter())
  test.strictSame(pauses, [1000, 2000, 4000, 8000, 8000])
  pause.served(clock.now)
  test.equal(limitedAfter(), 8000, 'that was asked before the last pause')
  clock.now += pause.remainingMs()
  pause.served(clock.now)
  test.equal(limitedAfter(), 1000)
})

await t.test('several 429 for requests in flight count once', async (test) => {
  const { clock, pause } = pauseFor()
  const began = clock.now
  clock.now += 50
  test.strictSame(
    [1, 2, 3].map(() => pause.limited(began, undefined)),
    [1000, 0, 0],
  )
  clock.now += 100
  test.equal(pause.limited(began, undefined), 0)
  test.equal(pause.remainingMs(), 900)
  test.equal(pause.limited(began, 3), 2100, 'but who names a longer time is heard')
  test.equal(pause.limited(began, 2), 0)
  test.equal(pause.remainingMs(), 3000)
  clock.now += 3000
  test.equal(pause.limited(clock.now, undefined), 2000, 'the second in a row')
})
