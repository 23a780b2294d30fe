import t from 'tap'
import {
  errorBody,
  RegistryError,
  timedOut,
  unavailable,
  unsupported,
  type ErrorCode,
} from '../../src/oci/errors.ts'

await t.test('every code has the status of the specification', async (test) => {
  const rows: readonly (readonly [ErrorCode, number])[] = [
    ['NAME_INVALID', 400],
    ['TAG_INVALID', 400],
    ['DIGEST_INVALID', 400],
    ['MANIFEST_INVALID', 400],
    ['UNAUTHORIZED', 401],
    ['DENIED', 403],
    ['NAME_UNKNOWN', 404],
    ['MANIFEST_UNKNOWN', 404],
    ['BLOB_UNKNOWN', 404],
    ['UNSUPPORTED', 405],
    ['SIZE_INVALID', 416],
    ['TOOMANYREQUESTS', 429],
    ['UNAVAILABLE', 503],
  ]
  for (const [code, status] of rows) {
    const error = new RegistryError(code, 'what to do')
    test.equal(error.status, status, code)
    test.equal(error.code, code)
    test.equal(error.message, 'what to do')
    test.equal(error.name, 'RegistryError')
    test.equal(error.cause, undefined)
    test.strictSame(error.headers, {})
  }
})

await t.test('status, headers and cause can be given', async (test) => {
  const cause = new Error('why')
  const error = new RegistryError('DENIED', 'no', { status: 418, headers: { allow: 'GET' }, cause })
  test.equal(error.status, 418)
  test.strictSame(error.headers, { allow: 'GET' })
  test.equal(error.cause, cause)
})

await t.test('trap 17: a failure behind the proxy is 503 or 504, never 500 and never 401', async (test) => {
  const cause = new Error('why')
  test.match(unavailable('away', cause), {
    code: 'UNAVAILABLE',
    status: 503,
    message: 'away',
    headers: { 'retry-after': '5' },
    cause,
  })
  test.strictSame(unavailable('away', undefined, 30).headers, { 'retry-after': '30' })
  test.match(timedOut('slow', cause), {
    code: 'UNAVAILABLE',
    status: 504,
    message: 'slow',
    headers: { 'retry-after': '5' },
    cause,
  })
})

await t.test('an unsupported request is answered with the allowed methods', async (test) => {
  test.match(unsupported(404, 'no'), {
    code: 'UNSUPPORTED',
    status: 404,
    message: 'no',
    headers: { allow: 'GET, HEAD' },
  })
  test.match(unsupported(405, 'no', 'GET, HEAD, POST'), {
    status: 405,
    headers: { allow: 'GET, HEAD, POST' },
  })
})

await t.test('trap 20: the body is a Buffer; trap 26: it has no detail, status or cause', async (test) => {
  const message = 'quotes " and \u{1f40b}'
  const body = errorBody(new RegistryError('DENIED', message, { cause: new Error('secret') }))
  test.ok(Buffer.isBuffer(body))
  test.equal(body.toString(), JSON.stringify({ errors: [{ code: 'DENIED', message }] }))
})
