import t from 'tap'
import { createAllowance } from '../../src/concurrency/allowance.ts'

const setUp = () => {
  let now = 0
  const allowance = createAllowance({ burst: 2, perSecond: 0.5, now: () => now })
  const spend = (count: number) => {
    for (let index = 0; index < count; index++) {
      allowance.hold()
      allowance.settle(1)
    }
  }
  return { ...allowance, spend, pass: (milliseconds: number) => void (now += milliseconds) }
}

await t.test('a burst, then a rate per second, and never more than the burst', async (test) => {
  const { state, spend, retryAfterSeconds, pass } = setUp()
  spend(2)
  test.equal(state(), 'spent')
  test.equal(retryAfterSeconds(), 2)
  pass(1500)
  test.equal(state(), 'spent')
  test.equal(retryAfterSeconds(), 1)
  pass(500)
  test.equal(state(), 'free')
  spend(1)
  pass(3_600_000)
  spend(2)
  test.equal(state(), 'spent')
})

await t.test(
  'a held token cannot be held twice, and becomes free again if no refusal is charged',
  async (test) => {
    const { state, tryHold, hold, settle } = setUp()
    test.equal(tryHold(), 'held')
    test.equal(state(), 'free')
    test.equal(tryHold(), 'held')
    test.equal(state(), 'busy', 'a place is settled later')
    test.equal(tryHold(), 'busy')
    settle(0)
    test.equal(state(), 'free')
    settle(1)
    test.equal(state(), 'free')
    hold()
    test.equal(state(), 'busy')
    settle(1)
    test.equal(state(), 'spent')
    test.equal(tryHold(), 'spent')
  },
)

await t.test('the shortest wait that is announced is one second', async (test) => {
  test.equal(setUp().retryAfterSeconds(), 1)
})

await t.test('a charge without a hold counts, and the bucket never goes below zero', async (test) => {
  const { state, charge, pass } = setUp()
  charge(1)
  test.equal(state(), 'free')
  charge(50)
  test.equal(state(), 'spent')
  pass(2000)
  test.equal(state(), 'free', 'the charge over the limit is forgotten')
})
