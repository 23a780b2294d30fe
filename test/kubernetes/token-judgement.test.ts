import { createHash } from 'node:crypto'
import t from 'tap'
import type { TokenReviewSpec } from '../../src/kubernetes/api-server.ts'
import type { TokenAnswer } from '../../src/kubernetes/review-answer.ts'
import { judge, type ShownToken } from '../../src/kubernetes/token-judgement.ts'

const now = 1_800_000_000_000
const jwt = (claims: unknown) => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'ES256' })}.${part(claims)}.c2ln`
}
const openshift = `sha256~${'a'.repeat(43)}`
const issuer = 'https://kubernetes.default.svc/of/its/own'
const user = { username: 'alice', groups: ['g'], extra: {} }

/** As the real one judges: by what a token is for, its own audience being whatever `--api-audiences` says. */
const answersOf =
  (valid: Readonly<Record<string, readonly string[]>>) =>
  async ({ token, audiences = [issuer] }: TokenReviewSpec): Promise<TokenAnswer> => {
    const both = (valid[token] ?? []).filter((audience) => audiences.includes(audience))
    return both.length > 0
      ? { authenticated: true, user, audiences: both }
      : { authenticated: false, error: '[invalid bearer token, token lookup failed]' }
  }

const judged = async (
  token: string,
  audiences: readonly string[],
  answer: (spec: TokenReviewSpec) => Promise<TokenAnswer>,
) => {
  const sent: TokenReviewSpec[] = []
  const shown: ShownToken = { token, isFamiliar: true, address: 'a', reviews: 0 }
  const send = async (spec: TokenReviewSpec, turn: object) => {
    sent.push(spec)
    if (JSON.stringify(turn) !== '{"requester":"a","isPriority":true}') throw new Error(JSON.stringify(turn))
    return await answer(spec)
  }
  const result = await judge(shown, { send, audiences }, () => now)
  return { result, sent, reviews: shown.reviews }
}

await t.test(
  'trap 18: without --token-audience the review names no audiences; the user info stays verbatim',
  async (test) => {
    const { result, sent } = await judged('x', [], answersOf({ x: [issuer] }))
    test.strictSame(sent, [{ token: 'x' }])
    const key = createHash('sha256')
      .update(JSON.stringify(['alice', undefined, ['g'], {}]))
      .digest('base64')
    test.strictSame(result, {
      authenticated: true,
      identity: { kind: 'user', user, key },
      expiresAt: undefined,
    })
  },
)

await t.test(
  'trap 18: with --token-audience, and an API server whose own audience is its URL',
  async (test) => {
    const proxy = ['quay-proxy']
    const [forProxy, forCluster, forBoth, forOther] = [
      ['quay-proxy'],
      issuer,
      ['quay-proxy', issuer],
      'other',
    ].map((aud) => jwt({ aud, exp: now / 1000 + 60 })) as [string, string, string, string]
    const answer = answersOf({
      [openshift]: [issuer],
      opaque: [issuer],
      'opaque-for-proxy': ['quay-proxy'],
      [forProxy]: ['quay-proxy'],
      [forCluster]: [issuer],
      [forBoth]: ['quay-proxy', issuer],
      [forOther]: ['other'],
    })
    const withOwn = (token: string) => ({ token })
    const withProxy = (token: string) => ({ token, audiences: proxy })
    const rows = [
      [openshift, true, [withOwn(openshift)]],
      [`sha256~${'b'.repeat(43)}`, false, [withOwn(`sha256~${'b'.repeat(43)}`)]],
      ['opaque', true, [withOwn('opaque')]],
      ['opaque-for-proxy', true, [withOwn('opaque-for-proxy'), withProxy('opaque-for-proxy')]],
      ['made-up', false, [withOwn('made-up'), withProxy('made-up')]],
      [forProxy, true, [withProxy(forProxy)]],
      [forCluster, true, [withOwn(forCluster)]],
      [forBoth, true, [withProxy(forBoth)]],
      [forOther, false, [withOwn(forOther), withProxy(forOther)]],
    ] as const
    for (const [token, authenticated, sent] of rows) {
      const told = await judged(token, proxy, answer)
      test.strictSame([told.result.authenticated, told.sent], [authenticated, sent], token)
      test.equal(told.reviews, sent.length, 'each is counted')
    }
  },
)

await t.test('an answer for audiences that the review did not name is a refusal', async (test) => {
  for (const audiences of [[], ['other'], [issuer]]) {
    const { result } = await judged('x', ['quay-proxy'], async (spec) =>
      spec.audiences === undefined
        ? { authenticated: false, error: undefined }
        : { authenticated: true, user, audiences },
    )
    test.match(result, {
      authenticated: false,
      refusal: { reason: 'the token is meant for another audience' },
    })
  }
})

await t.test('a refusal has the message of the API server, without the token', async (test) => {
  for (const [error, reason] of [
    ['invalid bearer token', 'invalid bearer token'],
    ['no hunter2\n!', 'no (token)?!'],
    [undefined, 'the token is not valid on this cluster'],
  ] as const) {
    const { result } = await judged('hunter2', [], async () => ({ authenticated: false, error }))
    test.strictSame(result, {
      authenticated: false,
      refusal: { reason, by: 'cluster', tokenKind: 'opaque', unverifiedClaims: {} },
    })
  }
  const token = jwt({ iss: 'https://b', sub: 's' })
  test.match((await judged(token, [], answersOf({}))).result, {
    refusal: { tokenKind: 'jwt', unverifiedClaims: { iss: 'https://b', sub: 's' } },
  })
})

await t.test(
  'trap: the API server accepts a token for up to a minute after its end, but the proxy does not',
  async (test) => {
    for (const [ms, authenticated] of [
      [1, true],
      [0, false],
      [-1, false],
    ] as const) {
      const token = jwt({ exp: (now + ms) / 1000 })
      const { result } = await judged(token, [], answersOf({ [token]: [issuer] }))
      test.equal(result.authenticated, authenticated)
    }
  },
)
