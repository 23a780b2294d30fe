import t from 'tap'
import { fakeClock } from '../../concurrency/fake-clock.ts'
import { PermitLost } from '../../../src/mirror/registry/failure.ts'
import { checkPermit, noPermit, whileHeld } from '../../../src/mirror/registry/write-permit.ts'

await t.test('without the permit nothing is written', async (t) => {
  t.doesNotThrow(() => checkPermit({ isHeld: () => true }))
  t.throws(() => checkPermit(noPermit), new PermitLost())
})

await t.test('a write that is under way ends a second after the permit, and has four to spare', async (t) => {
  const clock = fakeClock()
  let isHeld = true
  const permit = { isHeld: () => isHeld }
  const held = whileHeld(permit, clock)
  await clock.pass(60_000)
  t.equal(held.signal.aborted, false)
  isHeld = false
  await clock.pass(1000)
  t.strictSame(held.signal.reason, new PermitLost())
  t.equal(clock.pending(), 0)
  isHeld = true
  {
    using _short = whileHeld(permit, clock)
    t.equal(clock.pending(), 1)
  }
  t.equal(clock.pending(), 0)
})
