/**
 * Whole passes with faults at every step: no old image is without a tag, no float has a wrong digest, and no image is given up without its
 * name. Beside them, the same worlds with the sequence of the former program. MIRROR_COPIES=10000 makes a long run of it.
 */
import t from 'tap'
import type { Test } from 'tap'
import { startPushableRegistry } from '../../support/pushable-registry.ts'
import { newOutcome, summaryOf, World, type Outcome, type StartLife } from './faulty-world.ts'
import { startMirror, startOc } from './lives.ts'

/** Ten for each world. */
const copies = Number(process.env['MIRROR_COPIES'] ?? 10)
/** Milliseconds: a second for ten images is usual. */
const timeout = 60_000 + copies * 2000

const runWorlds = async (test: Test, start: StartLife): Promise<Outcome> => {
  const sides = { qci: await startPushableRegistry(test), origin: await startPushableRegistry(test) }
  const outcome = newOutcome()
  for (let seed = 1; outcome.copies < copies; seed++) await new World(sides, seed, outcome).run(start)
  test.comment(JSON.stringify(summaryOf(outcome)))
  return outcome
}

await t.test(
  'no fault loses an image, puts a wrong one under a float, or hides a failure',
  { timeout },
  async (t) => {
    const outcome = await runWorlds(t, startMirror)
    t.strictSame([...outcome.lost], [])
    t.strictSame(outcome.wrong, [])
    t.strictSame(outcome.dropped, [])
    t.ok(outcome.faults > copies && outcome.kills > 0 && outcome.leasesLost > 0)
  },
)

await t.test('the sequence of the former program loses images in the same worlds', { timeout }, async (t) => {
  const outcome = await runWorlds(t, startOc)
  t.ok(outcome.lost.size > 0)
})
