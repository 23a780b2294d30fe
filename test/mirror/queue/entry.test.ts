import t from 'tap'
import { defaultRetryRules, Entry } from '../../../src/mirror/queue/entry.ts'
import { PermitLost, RegistryFailure } from '../../../src/mirror/registry/failure.ts'
import { copyOf } from './copies.ts'

const rules = {
  backoff: { firstMs: 1000, longestMs: 8000 },
  maxFailures: { refused: 2, all: 6 },
  random: () => 0.999_999,
}

await t.test('each failure doubles the time to the next try, up to the longest', async (t) => {
  const entry = new Entry(copyOf('a/b:c'))
  const waits = Array.from({ length: 5 }, () => {
    entry.begin()
    entry.fail(new RegistryFailure('transient', 'quay.io answered 503'), 100, rules)
    return Math.round((entry.nextTryAt ?? 0) - 100)
  })
  t.strictSame(waits, [1000, 2000, 4000, 8000, 8000])
  t.match(entry.status(), { state: 'backing off', failures: 5, lastError: 'quay.io answered 503' })
  entry.fail(new Error('x'), 100, rules)
  t.match(entry.status(), { state: 'dead', failures: 6, lastError: 'unexpected: x', nextTryAt: undefined })
})

await t.test('the jitter is up to half of the wait', async (t) => {
  const entry = new Entry(copyOf('a/b:c'))
  entry.fail(new Error('x'), 0, { ...rules, random: () => 0 })
  t.equal(entry.nextTryAt, 500)
})

await t.test('a refused copy is dead sooner, because a person has to act', async (t) => {
  const entry = new Entry(copyOf('a/b:c'))
  for (const state of ['backing off', 'dead']) {
    entry.fail(new RegistryFailure('refused', 'no'), 0, rules)
    t.equal(entry.state, state)
  }
  entry.wake()
  t.match(entry.status(), { state: 'waiting', failures: 0, lastError: 'no' })
})

await t.test(
  'only refusals count as refusals: other failures before them do not make a copy dead sooner',
  async (t) => {
    const entry = new Entry(copyOf('a/b:c'))
    entry.fail(new RegistryFailure('transient', 'quay.io answered 503'), 0, rules)
    entry.fail(new RegistryFailure('transient', 'quay.io answered 503'), 0, rules)
    entry.fail(new RegistryFailure('refused', 'no'), 0, rules)
    t.match(entry.status(), { state: 'backing off', failures: 3 })
    entry.fail(new RegistryFailure('transient', 'quay.io answered 503'), 0, rules)
    entry.fail(new RegistryFailure('refused', 'no'), 0, rules)
    t.match(entry.status(), { state: 'dead', failures: 5 })
    entry.replace(copyOf('a/b:c', 'quay.io', '1'))
    entry.fail(new RegistryFailure('refused', 'no'), 0, rules)
    t.equal(entry.state, 'backing off', 'another digest begins without refusals')
  },
)

await t.test('a lost lease is not a failure of the image', async (t) => {
  const entry = new Entry(copyOf('a/b:c'))
  for (let round = 0; round < 20; round++) entry.fail(new PermitLost(), 0, defaultRetryRules)
  t.match(entry.status(), { state: 'backing off', failures: 0, lastError: /lease/ })
})

await t.test('another digest starts over', async (t) => {
  const entry = new Entry(copyOf('a/b:c'))
  entry.fail(new Error('x'), 0, rules)
  entry.wake()
  t.equal(entry.failures, 1, 'waiting is no success')
  entry.replace(copyOf('a/b:c', 'quay.io', '1'))
  t.match(entry.status(), { state: 'waiting', failures: 0, lastError: undefined, digest: /11/ })
})

await t.test('a copy is the same if its source, its digest and its owner are', async (t) => {
  const entry = new Entry(copyOf('a/b:c'))
  t.ok(entry.isOf({ ...copyOf('a/b:c'), createdAt: 0 }))
  t.notOk(entry.isOf(copyOf('a/b:c', 'quay.io', '1')))
  t.notOk(entry.isOf(copyOf('a/b:c', 'ghcr.io')))
  t.notOk(entry.isOf({ ...copyOf('a/b:c'), owner: 'qciToAppCIImages' }))
})
