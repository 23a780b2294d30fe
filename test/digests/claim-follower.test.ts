import t from 'tap'
import { setImmediate as turn } from 'node:timers/promises'
import { createClaimFollower } from '../../src/digests/claim-follower.ts'
import type { QciTag } from '../../src/oci/reference.ts'

const setUp = () => {
  const runs: { readonly tags: readonly QciTag[]; readonly end: (error?: Error) => void }[] = []
  const failures: unknown[] = []
  const follow = createClaimFollower({
    follow: async (tags) =>
      await new Promise<void>((resolve, reject) => {
        runs.push({ tags, end: (error) => (error === undefined ? resolve() : reject(error)) })
      }),
    onFailure: (error) => void failures.push(error),
  })
  return {
    runs,
    failures,
    follow: (namespace: string, ...tags: string[]) => follow(namespace, tags as QciTag[]),
  }
}

await t.test(
  'runs follow each other; tags that arrive during a run are in the next one, each once',
  async (test) => {
    const { runs, follow } = setUp()
    follow('a-priv')
    test.equal(runs.length, 0)
    follow('a-priv', 'x', 'x')
    follow('a-priv', 'y')
    follow('b-priv', 'z')
    follow('a-priv', 'y', 'w')
    test.strictSame(
      runs.map(({ tags }) => tags),
      [['x']],
    )
    runs[0]?.end()
    await turn()
    test.strictSame(runs[1]?.tags, ['y', 'w', 'z'])
    runs[1]?.end()
    await turn()
    test.equal(runs.length, 2)
    follow('a-priv', 'x')
    test.strictSame(runs[2]?.tags, ['x'])
  },
)

await t.test('attack: a namespace that changes all the time takes no share of others', async (test) => {
  const { runs, follow } = setUp()
  follow('a-priv', 'first')
  for (let event = 0; event < 1000; event++) follow('evil-priv', `${event}-a`, `${event}-b`)
  follow('b-priv', 'wanted')
  runs[0]?.end()
  await turn()
  test.equal(runs[1]?.tags.length, 51)
  test.equal(runs[1]?.tags.at(-1), 'wanted')
})

await t.test('a failure is reported, and later runs continue', async (test) => {
  const { runs, failures, follow } = setUp()
  follow('a-priv', 'x')
  follow('a-priv', 'y')
  runs[0]?.end(new Error('unavailable'))
  await turn()
  test.match(failures, [{ message: 'unavailable' }])
  test.strictSame(runs[1]?.tags, ['y'])
})
