import t from 'tap'
import { NotAReview, readAccessReview, readTokenReview } from '../../src/kubernetes/review-answer.ts'
import { accessStatus, foreignAnswers, kinds, review, tokenStatus, type Kind } from './answers.ts'

const readers: Readonly<Record<Kind, (status: number, body: string) => unknown>> = {
  TokenReview: readTokenReview,
  SubjectAccessReview: readAccessReview,
}

await t.test('generated: a response that is not exactly the requested review is an error', async (test) => {
  for (const kind of Object.keys(kinds) as Kind[]) {
    const answers = foreignAnswers(kind)
    test.ok(answers.length > 80)
    for (const { status, body } of answers)
      test.throws(() => readers[kind](status, body), { name: 'NotAReview' }, `${kind} ${status} ${body}`)
    const other = kind === 'TokenReview' ? 'SubjectAccessReview' : 'TokenReview'
    test.throws(() => readers[kind](201, review(other, kinds[other].status)), NotAReview)
  }
})

await t.test('attack: a broken response that contains the token is not quoted', async (test) => {
  for (const body of ['hunter2', '{"spec":{"token":"hunter2"', 'x hunter2', '{"status":hunter2}'])
    for (const read of Object.values(readers)) {
      let said = ''
      try {
        read(201, body)
      } catch (error) {
        said = `${String(error)} ${String((error as Error).cause)}`
      }
      test.match(said, /it is not JSON/)
      test.notMatch(said, /hunter|hunt/)
    }
  const secret = { ...tokenStatus, user: { username: 'a', extra: { hunter2: 5 } } }
  test.throws(() => readTokenReview(201, review('TokenReview', secret)), {
    message: 'its review has no valid value in extra',
  })
})

await t.test('trap 18: the user info stays verbatim', async (test) => {
  for (const status of [200, 201])
    test.strictSame(readTokenReview(status, review('TokenReview', tokenStatus)), {
      authenticated: true,
      user: tokenStatus.user,
      audiences: ['a'],
    })
})

await t.test('null is read as empty, as Go writes it', async (test) => {
  const user = { username: 'kube:admin', uid: null, groups: null, extra: { a: null, b: [] } }
  const empty = { authenticated: true, user, audiences: null, error: null }
  test.strictSame(readTokenReview(201, review('TokenReview', empty)), {
    authenticated: true,
    user: { username: 'kube:admin', groups: [], extra: { a: [], b: [] } },
    audiences: [],
  })
  for (const [field, value] of [
    ['uid', ''],
    ['extra', null],
  ]) {
    const answer = readTokenReview(
      201,
      review('TokenReview', { authenticated: true, user: { username: 'a', [field as string]: value } }),
    )
    test.strictSame(answer.authenticated && answer.user, { username: 'a', groups: [], extra: {} })
  }
})

await t.test('attack: extra with a key __proto__ is a key like any other', async (test) => {
  const body =
    '{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true,"user":{"username":"a","extra":{"__proto__":["x"],"constructor":["y"]}}}}'
  const answer = readTokenReview(201, body)
  const { extra } = answer.authenticated ? answer.user : { extra: {} }
  test.strictSame(Object.entries(extra), [
    ['__proto__', ['x']],
    ['constructor', ['y']],
  ])
  test.equal(JSON.stringify(extra), '{"__proto__":["x"],"constructor":["y"]}')
})

await t.test('a refusal may have a reason; a false field may be omitted', async (test) => {
  for (const [status, error] of [
    [{ authenticated: false, user: {}, error: 'invalid bearer token' }, 'invalid bearer token'],
    [{ user: {}, error: 'x' }, 'x'],
    [{ user: {} }, undefined],
    [{}, undefined],
    [{ user: { username: 'alice' } }, undefined],
  ] as const)
    test.strictSame(readTokenReview(201, review('TokenReview', status)), { authenticated: false, error })
})

await t.test('only an explicit yes allows, and an explicit denial wins', async (test) => {
  const rows = [
    [accessStatus, true],
    [{ allowed: true, denied: false, reason: '', evaluationError: 'role "x" not found' }, true],
    [{ allowed: true, denied: null, reason: null }, true],
    [{ allowed: true, denied: true }, false],
    [{ allowed: false }, false],
    [{ allowed: false, denied: true }, false],
    [{ allowed: false, denied: false, reason: 'no opinion' }, false],
  ] as const
  for (const [status, allowed] of rows)
    test.strictSame(readAccessReview(201, review('SubjectAccessReview', status)), { allowed })
})
