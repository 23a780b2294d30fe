/** The fuzzer is run by hand and by CI; here: what it says to who mistyped, that one case can be repeated, and that seeds are read. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { plainNode } from '../support/program.ts'

const fuzz = (...args: readonly string[]) =>
  spawnSync(...plainNode(join(import.meta.dirname, '../fuzz/fuzz.ts'), ...args), { encoding: 'utf8' })

await t.test('a wrong argument of the fuzzer: a sentence and the list of targets, no stack', async (test) => {
  for (const [text, problem] of [
    ['--target=grpah', 'there is no target grpah'],
    ['--seconds=1m', '--seconds=1m: expected a number below 86400'],
    ['--seed=-1', '--seed=-1: expected a number below 4294967296'],
  ] as const) {
    const { status, stdout, stderr } = fuzz(text)
    test.strictSame([status, stdout], [2, ''], text)
    test.ok(stderr.startsWith(`fuzz: ${problem}\nthe targets are\n  front\n`), stderr)
  }
})

await t.test('one case again', async (test) => {
  const { status, stdout } = fuzz('--target=references', '--seed=7')
  test.equal(status, 0)
  test.match(stdout, /^ok {5}references +1 cases /)
})
