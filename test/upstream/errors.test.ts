import t from 'tap'
import { errors } from 'undici'
import { RegistryError, unavailable } from '../../src/oci/errors.ts'
import {
  PoolExhausted,
  toRegistryError,
  isAbsence,
  isRetryable,
  errorForStatus,
  errorForStorageStatus,
  TransientUpstreamError,
  UpstreamRateLimited,
  sharedErrors,
  UnreadableManifest,
} from '../../src/upstream/errors.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { told } from './upstream.ts'

await t.test('a RegistryError is passed on unchanged', async (test) => {
  const error = unavailable('no')
  test.equal(toRegistryError(error), error)
})

await t.test('an absence is an answer of upstream', async (test) => {
  for (const code of ['MANIFEST_UNKNOWN', 'NAME_UNKNOWN'] as const)
    test.ok(isAbsence(new RegistryError(code, 'gone')))
  for (const error of [unavailable('no'), new RegistryError('DENIED', 'no'), new Error('404')])
    test.notOk(isAbsence(error))
})

await t.test('too many pulls are not a failure of upstream', async (test) => {
  const error = new PoolExhausted()
  test.equal(told(error), '503 UNAVAILABLE 1')
  test.notOk(error instanceof TransientUpstreamError)
  test.equal(toRegistryError(error), error)
})

await t.test(
  'retryable: transient errors, rate limits, and too many pulls; never an answer',
  async (test) => {
    const limit = new UpstreamRateLimited('slowly', 1)
    for (const error of [new TransientUpstreamError('UNAVAILABLE', 'cut'), limit, new PoolExhausted()])
      test.ok(isRetryable(error), error.message)
    for (const error of [unavailable('the robot is refused'), new Error('a mistake of ours'), undefined])
      test.notOk(isRetryable(error))
  },
)

await t.test('a timeout is 504, everything else 503, and the cause is kept', async (test) => {
  const rows = [
    [new errors.HeadersTimeoutError(), '504 UNAVAILABLE 5'],
    [new errors.BodyTimeoutError(), '504 UNAVAILABLE 5'],
    [new errors.ConnectTimeoutError(), '504 UNAVAILABLE 5'],
    [new errors.SocketError('other side closed'), '503 UNAVAILABLE 5'],
    [Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), '503 UNAVAILABLE 5'],
    [new DOMException('aborted', 'AbortError'), '503 UNAVAILABLE 5'],
    [new Error('anything'), '503 UNAVAILABLE 5'],
  ] as const
  for (const [error, expected] of rows) {
    const failure = toRegistryError(error)
    test.equal(told(failure), expected, error.message)
    test.equal(failure.cause, error)
  }
})

await t.test(
  'trap 16: 401 is 503 and an alarm, without a cause that could hold a challenge',
  async (test) => {
    const reasons: string[] = []
    const error = errorForStatus(401, undefined, (reason) => reasons.push(reason))
    test.equal(error && told(error), '503 UNAVAILABLE 30')
    test.equal(error?.cause, undefined)
    test.equal(reasons.length, 1)
  },
)

const noAlarm = (): void => void t.fail('only a 401 is an alarm')

await t.test('trap 39: 429 has a Retry-After in seconds, whatever upstream says', async (test) => {
  const rows = [
    [undefined, '5'],
    ['7', '7'],
    ['60', '60'],
    ['3600', '60'],
    ['99999', '60'],
    ['', '5'],
    ['-1', '5'],
    ['1.5', '5'],
    ['Fri, 31 Dec 2027 23:59:59 GMT', '60'],
    ['Fri, 31 Dec 2021 23:59:59 GMT', '0'],
    ['2027-12-31', '5'],
  ] as const
  for (const [field, expected] of rows) {
    const error = errorForStatus(429, field, noAlarm)
    test.equal(error && told(error), `429 TOOMANYREQUESTS ${expected}`, String(field))
  }
  for (const [field, seconds] of [
    [undefined, undefined],
    ['soon', undefined],
    ['7', 7],
    ['3600', 60],
  ] as const)
    test.strictSame(
      (errorForStatus(429, field, noAlarm) as UpstreamRateLimited).retryAfterSeconds,
      seconds,
      'as it says it',
    )
})

await t.test('every 5xx is 503: on 500 podman gives up, on 502 containerd does', async (test) => {
  for (const status of [500, 502, 503, 504, 520, 599]) {
    const error = errorForStatus(status, '9', noAlarm)
    test.equal(error && told(error), '503 UNAVAILABLE 5')
    test.match(error?.cause, new Error(`upstream answered ${status}`))
  }
})

await t.test('other statuses are no error', async (test) => {
  for (const status of [200, 206, 304, 400, 403, 404, 405, 416])
    test.equal(errorForStatus(status, undefined, noAlarm), undefined)
})

await t.test('a refused signed URL is a transient error', async (test) => {
  for (const status of [401, 403]) {
    const error = errorForStorageStatus(status, undefined)
    test.ok(error instanceof TransientUpstreamError)
    test.equal(error && told(error), '503 UNAVAILABLE 5')
  }
  test.equal(errorForStorageStatus(404, undefined), undefined)
  test.match(errorForStorageStatus(429, '7'), { status: 429, headers: { 'retry-after': '7' } })
})

await t.test('a refusal or an absence is never transient', async (test) => {
  for (const status of [429, 500, 503])
    test.ok(errorForStatus(status, undefined, noAlarm) instanceof TransientUpstreamError)
  test.notOk(errorForStatus(401, undefined, undefined) instanceof TransientUpstreamError)
  test.ok(toRegistryError(new Error('reset')) instanceof TransientUpstreamError)
})

await t.test('a 401 of the CDN is 503 without an alarm: it never got the robot token', async (test) => {
  test.match(errorForStatus(401, undefined, undefined), { code: 'UNAVAILABLE', status: 503 })
})

await t.test(
  'of errors that requesters share, a rate limit concerns only the one that sent the request',
  (test) => {
    test.ok(sharedErrors.isOfRequester(new UpstreamRateLimited('no', 1)))
    test.notOk(sharedErrors.isOfRequester(new TransientUpstreamError('UNAVAILABLE', 'no')))
    const reason = new Error('closed')
    test.match(sharedErrors.callerGone(reason), { code: 'UNAVAILABLE', cause: reason })
    test.end()
  },
)

await t.test(
  'a manifest that nobody can parse is no transient error, and carries its bytes',
  async (test) => {
    const content = Buffer.from('x')
    const digest = `sha256:${'a'.repeat(64)}` as Digest
    const error = new UnreadableManifest('push it again', { digest, content })
    test.match(error, { code: 'MANIFEST_INVALID', status: 400, message: 'push it again', digest, content })
    test.notOk(error instanceof TransientUpstreamError)
  },
)
