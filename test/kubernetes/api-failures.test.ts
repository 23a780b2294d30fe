import t from 'tap'
import { asUnavailable, isTimeout, reviewText } from '../../src/kubernetes/api-failures.ts'
import { NotAReview } from '../../src/kubernetes/review-answer.ts'

const failure = (status: number, text: string, retryAfter = '', secret = '') => {
  try {
    reviewText({ status, text, retryAfter }, secret)
  } catch (error) {
    return asUnavailable(error)
  }
  throw new Error('it passed')
}
const status = (message: unknown) => JSON.stringify({ kind: 'Status', message })

await t.test('the text of a reply that may be a review is passed unchanged', async (test) => {
  for (const code of [200, 201, 204, 307])
    test.equal(reviewText({ status: code, text: 'x', retryAfter: '' }, ''), 'x')
})

await t.test(
  'a refusal of the proxy has the message of the API server, and says what to apply',
  async (test) => {
    for (const code of [401, 403]) {
      const error = failure(code, status('tokenreviews is forbidden: "ci:quay-proxy"\n\u001b[31mcannot'))
      test.match(error, { status: 503, message: /refuses the proxy itself/, headers: { 'retry-after': '5' } })
      test.equal(
        (error.cause as Error).message,
        `API server answered ${code}: "tokenreviews is forbidden: \\"ci:quay-proxy\\"??[31mcannot"; apply manifests/rbac/quay-proxy.yaml, and look at the credential of the proxy`,
      )
    }
    test.ok((failure(403, status('x'.repeat(100_000))).cause as Error).message.length < 500)
  },
)

await t.test('attack: no error quotes the request, or the page of another server', async (test) => {
  const said = [
    failure(403, status('no hunter2'), '', 'hunter2'),
    failure(401, '<html>hunter2', '', 'hunter2'),
    failure(401, '{"message":"hunter2', '', 'hunter2'),
    failure(403, status({ hunter2: 1 }), '', 'hunter2'),
    failure(403, 'null', '', 'hunter2'),
    failure(500, status('hunter2'), '', 'hunter2'),
  ].map((error) => `${error.message} ${String(error.cause)}`)
  test.notMatch(said.join(), /hunter/)
  test.match(said[0], /"no \(token\)"/)
  test.match(said[1], /without a reason/)
})

await t.test('a 429 is shed for the time that it names', async (test) => {
  for (const [told, seconds] of [
    ['30', '30'],
    ['0', '1'],
    ['1e9', '1'],
    ['99999', '1'],
    ['Wed, 21 Oct 2026 07:28:00 GMT', '1'],
  ] as const)
    test.match(failure(429, '', told), {
      status: 503,
      headers: { 'retry-after': seconds },
      message: /too many questions/,
    })
})

await t.test('all other failures are 503, with the reason for the log', async (test) => {
  test.match(failure(500, ''), {
    status: 503,
    cause: { message: 'API server answered 500' },
    message: /cannot answer now/,
  })
  test.match(asUnavailable(new NotAReview('x')), {
    status: 503,
    message: /cannot answer now/,
    cause: { message: 'x' },
  })
  test.match(asUnavailable(new Error('x')), { status: 503, message: /does not answer/ })
})

await t.test('the errors of a deadline', async (test) => {
  test.ok(isTimeout(new DOMException('x', 'TimeoutError')))
  test.ok(isTimeout(new DOMException('x', 'AbortError')))
  for (const error of [new Error('x'), 'TimeoutError', undefined]) test.notOk(isTimeout(error))
})
