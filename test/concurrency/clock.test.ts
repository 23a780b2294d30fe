import t from 'tap'
import { steadyWallClock, systemClock } from '../../src/concurrency/clock.ts'
import { staying } from './fake-clock.ts'

await t.test('the clock advances, and a cancelled timer does not run', async (test) => {
  staying(test)
  const began = systemClock.now()
  let happened = false
  systemClock.after(0, () => (happened = true))()
  await new Promise<void>((resolve) => systemClock.after(5, resolve))
  test.ok(systemClock.now() > began)
  test.equal(happened, false)
})

await t.test('the clock of the machine is set: the time since the start stays right', (test) => {
  const { now } = Date
  test.teardown(() => (Date.now = now))
  test.ok(Math.abs(steadyWallClock() - now()) < 60_000)
  const before = steadyWallClock()
  Date.now = () => now() - 365 * 86_400_000
  test.ok(steadyWallClock() >= before)
  test.end()
})
