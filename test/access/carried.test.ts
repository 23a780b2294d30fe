import t from 'tap'
import type { Digest } from '../../src/reference.ts'
import { createCarried } from '../../src/access/carried.ts'

const digest = (digit: string) => `sha256:${digit.repeat(64)}` as Digest

await t.test('for as long as a pull takes', async (t) => {
  let now = 1
  const { carry, isCarried } = createCarried({ now: () => now })
  t.notOk(isCarried(digest('a')))
  carry([digest('a'), digest('b')])
  t.ok(isCarried(digest('a')))
  now += 31 * 60_000
  t.notOk(isCarried(digest('a')))
})

await t.test('bounded, by the clock of the process', async (t) => {
  const { carry, isCarried } = createCarried({ max: 1 })
  carry([digest('a'), digest('b')])
  t.same([isCarried(digest('a')), isCarried(digest('b'))], [false, true])
})
