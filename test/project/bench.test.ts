/** The benchmark is run by hand. Its answers to wrong arguments are tested here. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { choose, usage, UsageError } from '../bench/arguments.ts'
import { plainNode } from '../support/program.ts'
import { thrown } from '../support/thrown.ts'

const bench = join(import.meta.dirname, '../bench/bench.ts')

await t.test('a wrong argument of the benchmark: a sentence and the list of parts, no stack', (test) => {
  for (const [text, problem] of [
    ['first-bite', 'there is no part first-bite'],
    ['--help', 'there is no part --help'],
    ['streaming=10m', 'streaming takes no argument'],
    ['soak=10x', 'soak=10x: expected a duration such as 10m'],
  ] as const) {
    const error = thrown(() => choose([text]))
    test.ok(error instanceof UsageError, text)
    test.match(error.message, problem)
    test.notMatch(error.message, '\n')
  }
  const all = choose([]).map(({ name }) => name)
  test.ok(all.includes('cache'))
  test.notOk(all.includes('cache-entries'), 'only if it is named')
  test.equal(choose(['cache-entries']).length, 1)
  test.match(usage(), '\n  cache-entries (only if it is named)\n')
  test.match(usage(), /^the parts are\n {2}streaming\n/)
  const { status, stdout, stderr } = spawnSync(...plainNode(bench, 'first-bite'), { encoding: 'utf8' })
  test.strictSame([status, stdout], [2, ''])
  test.equal(stderr, `bench: there is no part first-bite\n${usage()}`)
  test.end()
})
