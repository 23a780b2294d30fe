import t from 'tap'
import { challenge, quayError } from '../../../src/sandbox/quay/errors.ts'

await t.test('an error has a code, a message and an empty detail', async (test) => {
  const { status, headers, body } = quayError('TAG_EXPIRED', { connection: 'close' })
  test.equal(status, 404)
  test.strictSame(headers, { 'content-type': 'application/json', connection: 'close' })
  test.match(JSON.parse(String(body)), {
    errors: [{ code: 'TAG_EXPIRED', message: /has expired/, detail: {} }],
  })
})

await t.test('the challenge is one line, with a scope where there is a repository', async (test) => {
  const exchange = {
    method: 'GET',
    url: new URL('http://127.0.0.1:1/v2/'),
    headers: {},
    address: '',
    body: Buffer.alloc(0),
    fault: {},
  }
  const ping = 'Bearer realm="http://127.0.0.1:1/v2/auth",service="127.0.0.1:1"'
  const version = { 'docker-distribution-api-version': 'registry/2.0' }
  test.strictSame(challenge(exchange), { ...version, 'www-authenticate': ping })
  const scoped = `${ping},scope="repository:openshift/ci:pull"`
  test.strictSame(challenge(exchange, 'openshift/ci'), { ...version, 'www-authenticate': scoped })
})
