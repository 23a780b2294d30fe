import t from 'tap'
import { systemClock } from '../../src/concurrency/clock.ts'
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
