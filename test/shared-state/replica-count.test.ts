import t from 'tap'
import { ReplicaCount } from '../../src/shared-state/replica-count.ts'

await t.test(
  'a higher count applies at once, a lower one after a while, an unknown one never',
  async (test) => {
    let now = 0
    const replicas = new ReplicaCount(2, () => now)
    const after = (ms: number, counted: number) => {
      now += ms
      replicas.count(counted)
      return replicas.value()
    }
    test.equal(replicas.value(), 2)
    test.equal(after(0, 3), 3)
    test.equal(after(14_000, 1), 3)
    test.equal(after(0, 3), 3)
    test.equal(after(14_000, 1), 3, 'it was confirmed meanwhile')
    test.equal(after(1000, 1), 1)
    test.equal(after(60_000, -1), 1)
    test.equal(after(0, 0), 1)
  },
)
