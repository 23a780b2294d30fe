import t from 'tap'
import { FairShares } from '../../src/server/fair-shares.ts'

/** Takes until it is refused. */
const greedy = (shares: FairShares, holder: string): number => {
  let taken = 0
  while (shares.tryTake(holder)) taken += 1
  return taken
}

await t.test('one holder gets half, two get a third each, and so on', async (test) => {
  const shares = new FairShares(1000)
  test.equal(greedy(shares, 'a'), 500)
  test.equal(greedy(shares, 'b'), 250)
  shares.giveBack('a', 500)
  test.equal(greedy(shares, 'a'), 375)
  test.equal(shares.total, 625)
})

await t.test('any number of greedy holders, in any order: a newcomer gets something', async (test) => {
  for (const capacity of [64, 1000, 4096])
    for (const count of [1, 2, 5]) {
      const shares = new FairShares(capacity)
      const names = Array.from({ length: count }, (_, index) => `greedy ${index}`)
      for (let round = 0; round < 20; round++)
        for (const name of names) {
          greedy(shares, name)
          shares.giveBack(name)
        }
      test.ok(shares.tryTake('newcomer'), `${capacity} among ${count}`)
      test.ok(shares.total <= capacity)
    }
})

await t.test('released amounts are free again; holders of nothing are forgotten', async (test) => {
  const shares = new FairShares(1)
  for (const holder of ['a', 'b', 'a']) {
    test.ok(shares.tryTake(holder))
    test.notOk(shares.tryTake(holder))
    test.notOk(shares.tryTake('c'))
    shares.giveBack(holder)
  }
  test.equal(shares.total, 0)
  test.notOk(new FairShares(0).tryTake('a'))
})

await t.test('amounts: more than is free is refused as a whole', async (test) => {
  const shares = new FairShares(100)
  test.ok(shares.tryTake('a', 40))
  test.notOk(shares.tryTake('a', 21))
  test.ok(shares.tryTake('a', 10))
  test.notOk(shares.tryTake('b', 51))
  test.ok(shares.tryTake('b', 25))
  shares.giveBack('b', 5)
  test.notOk(shares.tryTake('b', 11))
  test.ok(shares.tryTake('b', 10))
})
