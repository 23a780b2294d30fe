import t from 'tap'
import { createPurposeKeys } from '../../../src/registry/authentication/signing-keys.ts'
import { hashOf, purposeKeyOf } from '../keys.ts'

const purposes = ['robotLogins', 'anonymousLogins', 'listCursors'] as const
const labels = {
  robotLogins: 'quay-proxy robot login 1',
  anonymousLogins: 'quay-proxy anonymous login 1',
  listCursors: 'quay-proxy list cursor 1',
}

await t.test('a key of 256 bits for each secret and purpose, in the order of the file', async (test) => {
  const secrets = ['one', 'two']
  const keys = createPurposeKeys(() => secrets.map(hashOf))
  const all = new Set<string>(secrets.map((secret) => Buffer.from(hashOf(secret)).toString('hex')))
  for (const purpose of purposes) {
    test.strictSame(
      keys[purpose]().map((key) => Buffer.from(key)),
      secrets.map((secret) => Buffer.from(purposeKeyOf(secret, labels[purpose]))),
      'every replica derives the same',
    )
    for (const key of keys[purpose]()) {
      test.equal(key.length, 32)
      all.add(Buffer.from(key).toString('hex'))
    }
  }
  test.equal(all.size, 2 + 6, 'no two are the same, and none is the secret itself')
})

await t.test('a removed secret stops working at once; each key is derived once', async (test) => {
  let current = [hashOf('old')]
  const keys = createPurposeKeys(() => current)
  for (const purpose of purposes) {
    current = [hashOf('old')]
    const [old] = keys[purpose]()
    test.equal(keys[purpose]()[0], old)
    current = [hashOf('new'), hashOf('old')]
    test.strictSame(keys[purpose]()[1], old)
    current = [hashOf('new')]
    test.strictSame(keys[purpose](), [purposeKeyOf('new', labels[purpose])])
    current = []
    test.strictSame(keys[purpose](), [])
  }
})
