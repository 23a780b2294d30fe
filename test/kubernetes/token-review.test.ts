import { createHash, createHmac } from 'node:crypto'
import t from 'tap'
import type { TokenReviewSpec } from '../../src/kubernetes/api-server.ts'
import type { TokenAnswer } from '../../src/kubernetes/review-answer.ts'
import * as tokenReview from '../../src/kubernetes/token-review.ts'

type Module = typeof tokenReview
const { createTokenReviewer } = tokenReview

const started = 1_800_000_000_000
const alice = {
  username: 'alice',
  uid: 'u-1',
  groups: ['qci-image-pullers', 'system:authenticated:oauth', 'system:authenticated'],
  extra: { 'scopes.authorization.openshift.io': ['user:full'] },
}
const good = { authenticated: true, user: alice, audiences: ['own'] } satisfies TokenAnswer
const bad: TokenAnswer = { authenticated: false, error: 'invalid bearer token' }

const jwt = (claims: unknown) => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'ES256' })}.${part(claims)}.c2ln`
}
const expiringIn = (milliseconds: number) => jwt({ exp: (started + milliseconds) / 1000 })

const setUp = ({ audiences = [], status = good }: { audiences?: string[]; status?: TokenAnswer } = {}) => {
  let now = started
  let reply: (spec: TokenReviewSpec) => Promise<TokenAnswer> = async () => status
  const sent: TokenReviewSpec[] = []
  const aheads: boolean[] = []
  const requesters: string[] = []
  let refuse: (client: string) => Promise<void> = async () => undefined
  const observed: string[] = []
  const admitted: string[] = []
  const reviewToken = createTokenReviewer({
    send: async (spec, { isPriority, requester }) => {
      sent.push(spec)
      aheads.push(isPriority)
      requesters.push(requester)
      return await reply(spec)
    },
    admit: async (client) => {
      await refuse(client)
      return (outcome, reviews) => void admitted.push(`${client} ${outcome} ${reviews}`)
    },
    audiences,
    identityTtlMs: 60_000,
    graceMs: 300_000,
    observe: ({ outcome, source }) => observed.push(`${outcome} ${source}`),
    now: () => now,
  })
  return {
    review: async (token: string, client = '10.0.0.1') => await reviewToken(token, client),
    admitted,
    aheads,
    requesters,
    refuseWith: (next: typeof refuse) => {
      refuse = next
    },
    sent,
    observed,
    pass: (milliseconds: number) => {
      now += milliseconds
    },
    replyWith: (next: typeof reply) => {
      reply = next
    },
    fail: () => {
      reply = async () => {
        throw new Error('unavailable')
      }
    },
  }
}

await t.test('trap 18: the user info passes verbatim', async (test) => {
  const { review, sent } = setUp()
  const { again, ...reviewed } = await review('sha256~abc')
  test.type(again, 'function')
  test.strictSame(reviewed, {
    authenticated: true,
    identity: {
      kind: 'user',
      user: alice,
      key: createHash('sha256')
        .update(JSON.stringify([alice.username, alice.uid, alice.groups, alice.extra]))
        .digest('base64'),
    },
    expiresAt: undefined,
  })
  test.strictSame(sent, [{ token: 'sha256~abc' }], 'no audiences unless told: not even the own one')
})

await t.test('two different user infos have different keys, and a key contains no token', async (test) => {
  const keys = new Set<string>()
  const users = [
    alice,
    { ...alice, username: 'bob' },
    { ...alice, uid: 'u-2' },
    { ...alice, groups: [] },
    { ...alice, extra: {} },
    { ...alice, extra: { 'scopes.authorization.openshift.io': ['user:info'] } },
    { username: 'alice', groups: ['u-1'], extra: {} },
  ]
  for (const user of users) {
    const reviewed = await setUp({ status: { ...good, user } }).review('hunter2')
    if (reviewed.authenticated) keys.add(reviewed.identity.key)
  }
  test.equal(keys.size, users.length)
  test.notMatch(JSON.stringify([...keys]), /hunter2/)
  for (const key of keys) test.notMatch(key, / /)
})

await t.test('again gives the same identity without the token while its review is valid', async (test) => {
  const { review, sent, observed, pass, replyWith } = setUp()
  const first = await review('x')
  if (!first.authenticated) throw new Error('it is not accepted')
  pass(59_999)
  test.equal(first.again?.(), first.identity)
  test.strictSame(observed, ['authenticated live', 'authenticated cached'], 'it is counted as any other')
  pass(2)
  test.equal(
    first.again?.(),
    undefined,
    'a revocation holds after a minute for whoever keeps a connection too',
  )
  test.equal(sent.length, 1, 'no review was sent')
  replyWith(async () => bad)
  const revoked = await review('x')
  test.strictSame([revoked.authenticated, first.again?.()], [false, undefined])
  test.notHas(revoked, { again: Function })
})

await t.test('again gives an identity in its grace while the API server is unavailable', async (test) => {
  const { review, observed, pass, fail } = setUp()
  await review('x')
  fail()
  pass(60_001)
  const second = await review('x')
  if (!second.authenticated) throw new Error('it does not count in grace')
  test.equal(second.again?.(), second.identity)
  test.strictSame(observed.slice(1), ['failed live', 'authenticated grace', 'authenticated grace'])
})

await t.test(
  'trap 17: an identity is cached for 60 s, a refusal for 5 s, because it may hide a failure',
  async (test) => {
    for (const [status, lifeMs, outcome] of [
      [good, 60_000, 'authenticated'],
      [bad, 5000, 'refused'],
    ] as const) {
      const { review, sent, observed, pass } = setUp({ status })
      await review('x')
      pass(lifeMs - 1)
      await review('x')
      test.equal(sent.length, 1)
      pass(2)
      await review('x')
      test.equal(sent.length, 2)
      test.strictSame(observed, [`${outcome} live`, `${outcome} cached`, `${outcome} live`])
    }
  },
)

await t.test('an identity is valid no longer than its token', async (test) => {
  const { review, sent, pass, replyWith } = setUp()
  const token = expiringIn(20_000)
  test.match(await review(token), { authenticated: true, expiresAt: started + 20_000 })
  pass(19_999)
  test.match(await review(token), { authenticated: true })
  test.equal(sent.length, 1)
  replyWith(async () => bad)
  pass(2)
  test.match(await review(token), { authenticated: false })
  test.equal(sent.length, 1, 'its own word is enough')
  const long = setUp()
  await long.review(expiringIn(3_600_000))
  long.pass(60_001)
  await long.review(expiringIn(3_600_000))
  test.equal(long.sent.length, 2, 'nor longer than 60 s')
})

await t.test('an expiry that is now, past or nonsense is not "for ever"', async (test) => {
  for (const [token, claimsEnd] of [
    [expiringIn(0), true],
    [expiringIn(-60_000), true],
    [jwt({ exp: 'soon' }), false],
    [jwt({ exp: null }), false],
    [jwt({ exp: { valueOf: 1 } }), false],
    [jwt({ exp: -1 }), true],
    [jwt({ exp: 1e300 }), false],
  ] as const) {
    const { review, sent, pass } = setUp()
    await review(token)
    pass(60_001)
    await review(token)
    test.equal(sent.length, claimsEnd ? 0 : 2, token)
  }
})

await t.test('trap 42: 20 requests at once cause one review', async (test) => {
  const { review, sent, observed, replyWith } = setUp()
  const gate = Promise.withResolvers<TokenAnswer>()
  replyWith(async () => await gate.promise)
  const all = Promise.all(Array.from({ length: 20 }, async () => await review('x')))
  gate.resolve(good)
  test.ok((await all).every(({ authenticated }) => authenticated))
  test.equal(sent.length, 1)
  test.equal(observed.filter((line) => line === 'authenticated live').length, 1)
})

await t.test('an identity belongs to one token', async (test) => {
  const { review, sent, replyWith } = setUp()
  replyWith(async ({ token }) => (token === 'a' ? good : bad))
  test.match(await review('a'), { authenticated: true })
  test.match(await review('b'), { authenticated: false })
  test.match(await review('a/'), { authenticated: false })
  test.match(await review('a'), { authenticated: true })
  test.equal(sent.length, 3)
})

await t.test('attack: a heap dump. Keys are HMACs under a key of each reviewer', async (test) => {
  const keys: string[] = []
  const { createTokenReviewer: createSpied } = await test.mockImport<Module>(
    '../../src/kubernetes/token-review.ts',
    {
      '../../src/kubernetes/review-cache.ts': {
        ReviewCache: class {
          peek(): void {}
          async answer(key: string) {
            keys.push(key)
            return { answer: { authenticated: true, identity: { user: alice } }, source: 'live' }
          }
        },
      },
    },
  )
  const options = {
    send: async () => good,
    admit: async () => () => undefined,
    audiences: [],
    identityTtlMs: 1,
    graceMs: 1,
    observe: () => undefined,
  }
  const [first, second] = [createSpied(options), createSpied(options)]
  await first('hunter2', '10.0.0.1')
  await first('hunter2', '10.0.0.1')
  await second('hunter2', '10.0.0.1')
  test.equal(keys[0], keys[1])
  test.not(keys[0], keys[2])
  for (const key of keys) {
    test.match(key, /^[A-Za-z0-9+/]{43}=$/)
    test.not(key, createHash('sha256').update('hunter2').digest('base64'))
    test.not(key, createHmac('sha256', '').update('hunter2').digest('base64'))
  }
})

await t.test('trap 17: a failure is a throw, not a refusal, and is not cached', async (test) => {
  const { review, sent, observed, replyWith, fail } = setUp()
  fail()
  await test.rejects(review('x'), { message: 'unavailable' })
  replyWith(async () => good)
  test.match(await review('x'), { authenticated: true })
  test.equal(sent.length, 2)
  test.strictSame(observed, ['failed live', 'authenticated live'])
})

await t.test('20 requests that wait for one failing review count one failure', async (test) => {
  const { review, sent, observed, fail } = setUp()
  fail()
  const answers = await Promise.allSettled(Array.from({ length: 20 }, async () => await review('x')))
  test.ok(answers.every(({ status }) => status === 'rejected'))
  test.equal(sent.length, 1)
  test.strictSame(observed, ['failed live'])
})

await t.test(
  'grace: cached identities stay valid for five minutes while the API server is unavailable',
  async (test) => {
    const { review, observed, pass, fail } = setUp()
    await review('x')
    fail()
    pass(60_001)
    test.match(await review('x'), { authenticated: true, identity: { user: alice } })
    await test.rejects(review('never-seen'), { message: 'unavailable' })
    pass(240_000)
    await test.rejects(review('x'), { message: 'unavailable' })
    test.strictSame(observed, [
      'authenticated live',
      'failed live',
      'authenticated grace',
      'failed live',
      'failed live',
    ])
  },
)

await t.test('grace: a refusal has none', async (test) => {
  const { review, pass, fail } = setUp({ status: bad })
  await review('x')
  fail()
  pass(5001)
  await test.rejects(review('x'), { message: 'unavailable' })
})

await t.test('grace: it ends when the token expires', async (test) => {
  const { review, pass, fail } = setUp()
  const token = expiringIn(90_000)
  await review(token)
  fail()
  pass(61_000)
  test.match(await review(token), { authenticated: true }, 'most of its life is over')
  pass(28_500)
  test.match(await review(token), { authenticated: true })
  pass(501)
  test.match(
    await review(token),
    { authenticated: false, refusal: { by: 'form', reason: /^it expired at / } },
    'not even for the wait between two attempts',
  )
})

await t.test('the system clock is used unless one is given', async (test) => {
  let sent = 0
  const review = createTokenReviewer({
    send: async () => {
      sent++
      return good
    },
    admit: async () => () => undefined,
    audiences: [],
    identityTtlMs: 60_000,
    graceMs: 0,
    observe: () => undefined,
  })
  const token = jwt({ exp: Math.floor(Date.now() / 1000) + 3600 })
  await review(token, '10.0.0.1')
  await review(token, '10.0.0.1')
  test.equal(sent, 1)
})

await t.test('floods: an unknown token is admitted by its address, which gets the outcome', async (test) => {
  const { review, admitted, replyWith, fail, pass } = setUp()
  replyWith(async ({ token }) => (token === 'good' ? good : bad))
  await review('good', 'a')
  await review('bad', 'a')
  await review('bad', 'b')
  fail()
  await test.rejects(review('other', 'c'))
  test.strictSame(
    admitted,
    ['a accepted 1', 'a refused 1', 'c unanswered 1'],
    'what is remembered costs nobody',
  )
  pass(300_000)
  replyWith(async () => good)
  await review('bad', 'b')
  test.equal(admitted.at(-1), 'b accepted 1')
})

await t.test(
  'floods: a token that is not admitted is neither reviewed nor cached nor counted',
  async (test) => {
    const { review, sent, observed, refuseWith } = setUp()
    refuseWith(async () => {
      throw new Error('too many')
    })
    await test.rejects(review('x'), { message: 'too many' })
    test.strictSame([sent, observed], [[], []])
    refuseWith(async () => undefined)
    test.match(await review('x'), { authenticated: true })
  },
)

await t.test(
  'floods: a token that was accepted before needs no admission until the cluster refuses it',
  async (test) => {
    const { review, sent, aheads, admitted, pass, replyWith, refuseWith } = setUp()
    await review('x')
    refuseWith(async () => {
      throw new Error('too many')
    })
    pass(3_600_000)
    test.match(await review('x', 'elsewhere'), { authenticated: true }, 'an hour later, from anywhere')
    test.strictSame(aheads, [false, true], 'and it goes ahead of those that are not known')
    replyWith(async () => bad)
    pass(3_600_000)
    test.match(await review('x'), { authenticated: false }, 'a revoked one once more')
    test.match(await review('x'), { authenticated: false }, 'and from memory')
    pass(5001)
    await test.rejects(review('x'), { message: 'too many' })
    test.equal(sent.length, 3)
    test.strictSame(admitted, ['10.0.0.1 accepted 1'])
  },
)

await t.test(
  'floods: many requests with one unknown token need one admission for each address',
  async (test) => {
    const { review, sent, observed, admitted, replyWith } = setUp()
    const gate = Promise.withResolvers<TokenAnswer>()
    replyWith(async () => await gate.promise)
    const all = Promise.all(['a', 'a', 'a', 'b'].map(async (client) => await review('x', client)))
    gate.resolve(bad)
    await all
    test.equal(sent.length, 1)
    test.strictSame(admitted.toSorted(), ['a refused 1', 'b unanswered 0'], 'one review is charged once')
    test.equal(observed.filter((line) => line === 'refused live').length, 1)
  },
)

await t.test(
  'no review is sent for a text that cannot be a token, nor for a token that says that it has expired',
  async (test) => {
    const { review, sent, admitted, observed } = setUp()
    for (const [token, refusal] of [
      [
        '$(oc whoami -t)',
        { reason: /no shell has run/, by: 'form', tokenKind: 'opaque', unverifiedClaims: {} },
      ],
      [
        jwt({ exp: 1, iss: 'https://a', sub: 'b' }),
        {
          reason: 'it expired at 1970-01-01T00:00:01Z',
          by: 'form',
          tokenKind: 'jwt',
          unverifiedClaims: { iss: 'https://a' },
        },
      ],
    ] as const)
      test.match(await review(token), { authenticated: false, refusal })
    test.strictSame([sent, admitted, observed], [[], [], []])
  },
)

await t.test('a refused token that is shown again is reviewed less and less often', async (test) => {
  const { review, sent, admitted, pass } = setUp({ status: bad })
  // A client in a loop: ten minutes, twice a second.
  for (let half = 0; half < 1200; half++) {
    test.equal((await review('x', half % 2 === 0 ? 'a' : 'b')).authenticated, false)
    pass(500)
  }
  test.ok(sent.length <= 8, String(sent.length))
  test.equal(admitted.length, sent.length)
})

await t.test('a token that was too new is accepted within five seconds', async (test) => {
  const { review, replyWith, pass } = setUp({ status: bad })
  await review('x')
  replyWith(async () => good)
  pass(5000)
  test.equal((await review('x')).authenticated, true)
  replyWith(async () => bad)
  pass(60_001)
  test.equal((await review('x')).authenticated, false)
  replyWith(async () => good)
  pass(5000)
  test.equal((await review('x')).authenticated, true, 'and what it was before is forgotten')
})

await t.test('attack: refusals, and any number of tokens of one person, evict nobody else', async (test) => {
  const { review, sent, replyWith } = setUp()
  await review('alice-token')
  replyWith(async ({ token }) =>
    token.startsWith('bad')
      ? bad
      : { ...good, user: { username: 'mallory', groups: [], extra: { id: [token] } } },
  )
  for (let index = 0; index < 10_200; index++) await review(`mallory-${index}`)
  for (let index = 0; index < 10_200; index++) await review(`bad-${index}`)
  const before = sent.length
  test.match(await review('alice-token'), { identity: { user: { username: 'alice' } } })
  test.equal(sent.length, before)
})

await t.test('a review takes the share of the network of its client', async (test) => {
  const { review, requesters } = setUp()
  await review('x', '2001:db8::1')
  test.strictSame(requesters, ['2001:db8:0:0::/64'])
})

await t.test('the owner of a cached review', async (test) => {
  const refusal = {
    reason: 'unknown',
    by: 'cluster',
    tokenKind: 'opaque',
    unverifiedClaims: undefined,
  } as never
  test.equal(tokenReview.ownerOf({ authenticated: false, refusal }), '')
  const user = { username: 'system:serviceaccount:my-team:app', groups: [], extra: {} }
  const identity = { kind: 'user', key: 'k', user } as const
  test.equal(
    tokenReview.ownerOf({ authenticated: true, identity, expiresAt: undefined }),
    'system:serviceaccounts:my-team',
  )
})
