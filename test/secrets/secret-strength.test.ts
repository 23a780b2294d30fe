import { createHash } from 'node:crypto'
import t from 'tap'
import { weaknessOf } from '../../src/secrets/secret-strength.ts'

const pattern = 'repeats itself, counts, or is made of well-known words'

await t.test('usual bad secrets are weak', async (test) => {
  for (const [secret, weakness] of [
    ['a'.repeat(32), pattern],
    ['a'.repeat(100_000), pattern],
    ['changeme-changeme-changeme-changeme', pattern],
    ['ChangeMe123456ChangeMe123456ChangeMe', pattern],
    ['0123456789012345678901234567890123456789', pattern],
    ['abcdefghijklmnopqrstuvwxyz0123456789', pattern],
    ['zyxwvutsrqponmlkjihgfedcba9876543210', pattern],
    ['qwertyuiopasdfghjklzxcvbnm123456', pattern],
    ['1a2b3c4d5e6f7g8h9i0j1k2l3m4n5o6p', pattern],
    ['AaBbCcDdEeFfGgHhIiJjKkLlMmNnOoPp', pattern],
    ['1111111122222222333333334444444455555555', pattern],
    ['deadbeefdeadbeefdeadbeefdeadbeef', pattern],
    ['00000000000000000000000000000001', pattern],
    ['my-super-secret-token-for-quay-proxy', pattern],
    ['-----BEGIN ENCRYPTED PRIVATE KEY-----', pattern],
    ['x7Kq9'.repeat(8), pattern],
    ['', 'has fewer than 32 characters'],
    ['x'.repeat(31), 'has fewer than 32 characters'],
    ['8f1b2c94d07e6a53f81c2d9b4e07a65', 'has fewer than 32 characters'],
    [Buffer.from('ff00fe'.repeat(16), 'hex').toString(), /^holds bytes that are no text/],
  ] as const)
    test.match(weaknessOf(secret), weakness, secret.slice(0, 60))
})

await t.test('every repeated character and short word is weak', async (test) => {
  for (let code = 0x21; code < 0x7f; code++)
    for (const word of ['', 'b', 'x1', 'pass', 'Zq7-', 'winter24'])
      test.equal(
        weaknessOf(`${String.fromCharCode(code)}${word}`.repeat(40)),
        pattern,
        `${String.fromCharCode(code)}${word}`,
      )
})

await t.test('a generated secret is never weak', async (test) => {
  const generators: Readonly<Record<string, (bytes: Buffer) => string>> = {
    'openssl rand -hex 16': (bytes) => bytes.toString('hex').slice(0, 32),
    'openssl rand -hex 32': (bytes) => bytes.toString('hex'),
    'openssl rand -base64 24': (bytes) => bytes.subarray(0, 24).toString('base64'),
    'openssl rand -base64 32': (bytes) => bytes.toString('base64'),
    uuidgen: (bytes) => bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5'),
  }
  for (const [name, generate] of Object.entries(generators)) {
    const weak = Array.from({ length: 500 }, (_, index) => index).filter(
      (seed) => weaknessOf(generate(createHash('sha256').update(`${seed}`).digest())) !== undefined,
    )
    test.strictSame(weak, [], name)
  }
})
