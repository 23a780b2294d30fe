import t from 'tap'
import { errors } from 'undici'
import { unavailable } from '../../src/errors.ts'
import { failureOf, refusalOf } from '../../src/quay/failures.ts'
import { told } from './upstream.ts'

await t.test('what is an answer already stays what it is', async (test) => {
  const error = unavailable('no')
  test.equal(failureOf(error), error)
})

await t.test('too slow is 504, everything else 503, and the cause is kept', async (test) => {
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
    const failure = failureOf(error)
    test.equal(told(failure), expected, error.message)
    test.equal(failure.cause, error)
  }
})

await t.test(
  'trap 16: 401 is 503 and an alarm, without a cause that could hold a challenge',
  async (test) => {
    const reasons: string[] = []
    const error = refusalOf(401, undefined, (reason) => reasons.push(reason))
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
    ['99999', '5'],
    ['', '5'],
    ['-1', '5'],
    ['1.5', '5'],
    ['Fri, 31 Dec 2027 23:59:59 GMT', '5'],
  ] as const
  for (const [field, expected] of rows) {
    const error = refusalOf(429, field, noAlarm)
    test.equal(error && told(error), `429 TOOMANYREQUESTS ${expected}`, String(field))
  }
})

await t.test('every 5xx is 503: on 500 podman gives up, on 502 containerd does', async (test) => {
  for (const status of [500, 502, 503, 504, 520, 599]) {
    const error = refusalOf(status, '9', noAlarm)
    test.equal(error && told(error), '503 UNAVAILABLE 5')
    test.match(error?.cause, new Error(`upstream answered ${status}`))
  }
})

await t.test('everything else is an answer', async (test) => {
  for (const status of [200, 206, 304, 400, 403, 404, 405, 416])
    test.equal(refusalOf(status, undefined, noAlarm), undefined)
})

await t.test('401 of the CDN is 503 without an alarm: it never saw the robot', async (test) => {
  test.match(refusalOf(401, undefined, undefined), { code: 'UNAVAILABLE', status: 503 })
})
