import t from 'tap'
import { PermitLost } from '../../../src/mirror/registry/failure.ts'
import { checkPermit, noPermit } from '../../../src/mirror/registry/write-permit.ts'

await t.test('without the permit nothing is written', async (t) => {
  t.doesNotThrow(() => checkPermit({ isHeld: () => true }))
  t.throws(() => checkPermit(noPermit), new PermitLost())
})
