import t from 'tap'
import { Faults } from '../../../src/sandbox/quay/faults.ts'

await t.test('a rule hits the requests it names, as often as it says', async (test) => {
  const faults = new Faults()
  const rule = { origin: 'cdn', path: /^\/sha256\/.*Expires/g, status: 502, count: 2 } as const
  faults.add(rule)
  test.strictSame(faults.take('quay', 'GET', '/sha256/a?Expires=1'), {}, 'another origin')
  test.strictSame(faults.take('cdn', 'GET', '/other'), {}, 'another path')
  test.equal(faults.take('cdn', 'GET', '/sha256/a?Expires=1'), rule)
  test.equal(faults.take('cdn', 'HEAD', '/sha256/a?Expires=1'), rule)
  test.strictSame(faults.take('cdn', 'GET', '/sha256/a?Expires=1'), {}, 'used up')
})

await t.test(
  'rules are spent in the order they were added, once each unless they say otherwise',
  async (test) => {
    const faults = new Faults()
    faults.add({ origin: 'quay', path: /./, method: 'GET', status: 429 })
    faults.add({ origin: 'quay', path: /./, status: 502, count: Infinity })
    const statuses = ['HEAD', 'GET', 'GET'].map((method) => faults.take('quay', method, '/v2/').status)
    test.strictSame(statuses, [502, 429, 502])
    faults.clear()
    test.strictSame(faults.take('quay', 'GET', '/v2/'), {})
  },
)

await t.test('a rule that hits some of the requests it names', async (test) => {
  const faults = new Faults()
  let asked = 0
  faults.add({ origin: 'quay', path: /./, status: 502, count: 2, when: () => ++asked % 2 === 0 })
  const statuses = Array.from({ length: 6 }, () => faults.take('quay', 'GET', '/v2/').status)
  test.strictSame(statuses, [undefined, 502, undefined, 502, undefined, undefined])
  test.equal(asked, 4, 'nobody asks about a rule that is used up')
})
