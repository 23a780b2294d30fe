/** The benchmark is run by hand; what it says to who mistyped is seen here. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'

const bench = join(import.meta.dirname, '../bench/bench.ts')

await t.test(
  'a wrong argument of the benchmark: a sentence and the list of parts, no stack',
  async (test) => {
    for (const [text, problem] of [
      ['first-bite', 'there is no part first-bite'],
      ['--help', 'there is no part --help'],
      ['streaming=10m', 'streaming takes no argument'],
      ['soak=10x', 'soak=10x: expected a duration such as 10m'],
    ] as const) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [bench, text], { encoding: 'utf8' })
      test.strictSame([status, stdout], [2, ''], text)
      test.ok(stderr.startsWith(`bench: ${problem}\nthe parts are\n  streaming\n`), stderr)
      test.notMatch(stderr, /^ +at /m)
    }
  },
)
