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

await t.test('a burst, then so many a second, and never more than the burst', async (test) => {
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

await t.test('what is held cannot be had twice, and comes back where it is not charged', async (test) => {
  const { state, hold, settle } = setUp()
  hold()
  test.equal(state(), 'free')
  hold()
  test.equal(state(), 'held', 'to wait for, and not over')
  settle(0)
  test.equal(state(), 'free')
  settle(1)
  test.equal(state(), 'free')
  hold()
  test.equal(state(), 'held')
  settle(1)
  test.equal(state(), 'spent')
})

await t.test('nobody is told to come again at once', async (test) => {
  test.equal(setUp().retryAfterSeconds(), 1)
})

await t.test('a charge from elsewhere counts, and nobody owes anything', async (test) => {
  const { state, charge, pass } = setUp()
  charge(1)
  test.equal(state(), 'free')
  charge(50)
  test.equal(state(), 'spent')
  pass(2000)
  test.equal(state(), 'free', 'what was charged beyond the end is not held against them')
})
