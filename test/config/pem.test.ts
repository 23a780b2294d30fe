import { execFileSync } from 'node:child_process'
import t from 'tap'
import { X509Certificate } from 'node:crypto'
import { expiryOfChain, parseAuthorities, parseKeyPair } from '../../src/config/pem.ts'
import { anotherSelfSigned, selfSigned } from '../support/tls.ts'

const [cert, key] = [String(selfSigned().cert), String(selfSigned().key)]
const other = anotherSelfSigned()

await t.test('a certificate and its key', async (test) => {
  test.strictSame(parseKeyPair([cert, key]), { cert, key })
  const encrypted = execFileSync('openssl', ['genrsa', '-aes128', '-passout', 'pass:hunter2', '2048'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const rows = [[], [cert], ['', key], [key, cert], [cert, String(other.key)], [cert, String(encrypted)]]
  for (const contents of rows)
    test.throws(() => parseKeyPair(contents), {
      message: /^they hold no PEM certificate with its unencrypted private key \(/,
    })
})

await t.test('authorities are all of their certificates, or none', async (test) => {
  const two = `${cert}${String(other.cert)}`
  test.equal(parseAuthorities(two), two)
  for (const text of ['', 'garbage', key])
    test.throws(() => parseAuthorities(text), { message: 'it holds no PEM certificate' })
  const broken = '-----BEGIN CERTIFICATE-----\nabcd\n-----END CERTIFICATE-----\n'
  test.throws(() => parseAuthorities(`${cert}${broken}`), {
    message: /^it holds a certificate that cannot be read \(/,
  })
})

await t.test('a chain expires with the first of its certificates', async (test) => {
  const ends = [cert, String(other.cert)].map((pem) => new X509Certificate(pem).validToDate.getTime())
  test.equal(expiryOfChain(cert), ends[0])
  test.equal(expiryOfChain(`${cert}${String(other.cert)}`), Math.min(...ends))
  test.equal(expiryOfChain(`${String(other.cert)}${cert}`), Math.min(...ends))
})
