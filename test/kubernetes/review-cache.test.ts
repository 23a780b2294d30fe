import t from 'tap'
import { reviewShed } from '../../src/kubernetes/review-shed.ts'
import { ReviewCache } from '../../src/kubernetes/review-cache.ts'

interface Answer {
  readonly text: string
  readonly ttlMs: number
  readonly graceMs: number
}

const setUp = (max = 100) => {
  let now = 1_000_000
  let reply: (request: string) => Promise<Answer> = async () => {
    throw new Error('no reply')
  }
  let unanswered = 0
  const sent: string[] = []
  const cache = new ReviewCache<string, Answer>({
    load: async (request) => {
      sent.push(request)
      return await reply(request)
    },
    onUnanswered: () => unanswered++,
    ttlMs: (answer) => answer.ttlMs,
    graceMs: (answer) => answer.graceMs,
    ownerOf: () => 'somebody',
    max,
    now: () => now,
  })
  return {
    answer: async (key: string, request: string) => await cache.answer(key, request),
    cached: (key: string) => cache.cached(key),
    peek: (key: string) => cache.peek(key),
    peekInGrace: (key: string) => cache.peekInGrace(key),
    sent,
    unanswered: () => unanswered,
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

const yes = { text: 'yes', ttlMs: 60_000, graceMs: 300_000 }
const no = { text: 'no', ttlMs: 10_000, graceMs: 0 }

await t.test('an answer is valid for its own life, and not longer', async (test) => {
  for (const answer of [yes, no]) {
    const { answer: ask, peek, sent, pass, replyWith } = setUp()
    replyWith(async () => answer)
    test.equal(peek('k'), undefined)
    test.strictSame(await ask('k', 'q'), { answer, source: 'live' })
    pass(answer.ttlMs - 1)
    test.equal(peek('k'), answer)
    test.strictSame(await ask('k', 'q'), { answer, source: 'cached' })
    pass(2)
    test.equal(peek('k'), undefined)
    test.strictSame(await ask('k', 'q'), { answer, source: 'live' })
    test.strictSame(sent, ['q', 'q'])
  }
})

await t.test('a look does not extend the life of an answer', async (test) => {
  const { answer: ask, peek, sent, pass, replyWith } = setUp()
  replyWith(async () => yes)
  await ask('k', 'q')
  for (let second = 0; second < 61; second++) {
    pass(1000)
    peek('k')
    await ask('k', 'q')
  }
  test.equal(sent.length, 2)
})

await t.test('each key has its own answer', async (test) => {
  const { answer: ask, peek, sent, replyWith } = setUp()
  replyWith(async (text) => ({ ...yes, text }))
  await ask('a', 'of a')
  await ask('b', 'of b')
  test.equal(peek('a')?.text, 'of a')
  test.equal(peek('b')?.text, 'of b')
  test.strictSame(sent, ['of a', 'of b'])
})

await t.test('a life of 0 or less is not for ever', async (test) => {
  for (const ttlMs of [0, -1, -1e12]) {
    const { answer: ask, peek, sent, pass, replyWith } = setUp()
    replyWith(async () => ({ ...yes, ttlMs }))
    await ask('k', 'q')
    pass(2)
    test.equal(peek('k'), undefined)
    await ask('k', 'q')
    test.equal(sent.length, 2)
  }
})

await t.test('many callers share one request; only the first one has source live', async (test) => {
  const { answer: ask, sent, replyWith } = setUp()
  const pending = Promise.withResolvers<Answer>()
  replyWith(async () => await pending.promise)
  const all = Promise.all(Array.from({ length: 20 }, async () => await ask('k', 'q')))
  pending.resolve(yes)
  const answers = await all
  test.equal(sent.length, 1)
  test.equal(answers.filter(({ source }) => source === 'live').length, 1)
  test.equal(answers.filter(({ source }) => source === 'cached').length, 19)
  test.ok(answers.every(({ answer }) => answer === yes))
})

await t.test('many callers share one failure, which is not cached', async (test) => {
  const { answer: ask, peek, sent, replyWith, fail } = setUp()
  fail()
  const results = await Promise.allSettled(Array.from({ length: 20 }, async () => await ask('k', 'q')))
  test.ok(results.every((result) => result.status === 'rejected'))
  test.equal(sent.length, 1)
  test.equal(peek('k'), undefined)
  replyWith(async () => yes)
  test.strictSame(await ask('k', 'q'), { answer: yes, source: 'live' })
})

await t.test('an evicted key still answers the callers that wait for it', async (test) => {
  const { answer: ask, peek, sent, replyWith } = setUp(1)
  const pending = new Map([
    ['a', Promise.withResolvers<Answer>()],
    ['c', Promise.withResolvers<Answer>()],
  ])
  replyWith(async (request) => (await pending.get(request)?.promise) ?? { ...yes, text: 'other' })
  const first = ask('a', 'a')
  const third = ask('c', 'c')
  await ask('b', 'b')
  pending.get('a')?.resolve(yes)
  pending.get('c')?.reject(new Error('unavailable'))
  test.strictSame(await first, { answer: yes, source: 'live' })
  await test.rejects(third, { message: 'unavailable' })
  test.strictSame(sent, ['a', 'c', 'b'])
  test.equal(peek('a'), yes, 'and the last answer is cached')
})

await t.test(
  'while the API server is unavailable, an answer stays valid for the grace after its life',
  async (test) => {
    const { answer: ask, peek, peekInGrace, sent, pass, replyWith, fail } = setUp()
    replyWith(async () => yes)
    await ask('k', 'q')
    test.equal(peekInGrace('k'), yes, 'a live one counts as well')
    fail()
    pass(60_001)
    test.equal(peek('k'), undefined, 'without a request, nothing shows that it is unavailable')
    test.equal(peekInGrace('k'), yes)
    test.strictSame(await ask('k', 'q'), { answer: yes, source: 'grace' })
    test.equal(sent.length, 2)
    pass(999)
    test.strictSame(await ask('k', 'q'), { answer: yes, source: 'grace' })
    test.equal(sent.length, 2, 'no attempt for a second')
    pass(2)
    test.strictSame(await ask('k', 'q'), { answer: yes, source: 'grace' })
    test.equal(sent.length, 3)
    replyWith(async () => no)
    pass(1001)
    test.strictSame(await ask('k', 'q'), { answer: no, source: 'live' }, 'it is back, and its answer counts')
    test.equal(peekInGrace('k'), undefined)
  },
)

await t.test('the grace is measured from the time of the answer', async (test) => {
  const { answer: ask, peekInGrace, pass, replyWith, fail } = setUp()
  replyWith(async () => yes)
  await ask('k', 'q')
  fail()
  pass(299_500)
  test.equal((await ask('k', 'q')).source, 'grace')
  pass(499)
  test.equal((await ask('k', 'q')).source, 'grace')
  test.equal(peekInGrace('k'), yes)
  pass(2)
  test.equal(peekInGrace('k'), undefined)
  await test.rejects(
    ask('k', 'q'),
    { message: 'unavailable' },
    'the wait between two attempts does not extend it',
  )
  await test.rejects(ask('k', 'q'), { message: 'unavailable' })
})

await t.test('there is no grace for an answer without one, nor for a key without an answer', async (test) => {
  const { answer: ask, peek, peekInGrace, pass, replyWith, fail } = setUp()
  replyWith(async () => no)
  await ask('k', 'q')
  test.equal(peekInGrace('k'), undefined)
  fail()
  test.equal((await ask('k', 'q')).source, 'cached', 'it is valid for its life')
  pass(no.ttlMs + 1)
  await test.rejects(ask('k', 'q'), { message: 'unavailable' })
  await test.rejects(ask('other', 'q'), { message: 'unavailable' })
  test.equal(peek('k'), undefined)
  test.equal(peekInGrace('other'), undefined)
})

await t.test('the cached answer and its source are given without a request', async (test) => {
  const { answer: ask, cached, peekInGrace, sent, pass, replyWith, fail } = setUp()
  test.equal(cached('k'), undefined)
  replyWith(async () => yes)
  await ask('k', 'q')
  test.strictSame(cached('k'), { answer: yes, source: 'cached' })
  pass(yes.ttlMs + 1)
  test.equal(cached('k'), undefined, 'its life is over')
  test.equal(peekInGrace('k'), yes, 'and the look does not end its grace')
  fail()
  test.strictSame(await ask('k', 'q'), { answer: yes, source: 'grace' })
  test.strictSame(cached('k'), { answer: yes, source: 'grace' })
  test.strictSame(sent, ['q', 'q'])
})

await t.test('a key has no cached answer while its request is repeated', async (test) => {
  const { answer: ask, cached, pass, replyWith } = setUp()
  replyWith(async () => yes)
  await ask('k', 'q')
  pass(yes.ttlMs + 1)
  const { promise, resolve } = Promise.withResolvers<Answer>()
  replyWith(async () => await promise)
  const asking = ask('k', 'q')
  test.equal(cached('k'), undefined)
  resolve(no)
  await asking
  test.strictSame(cached('k'), { answer: no, source: 'cached' })
})

await t.test('a lookup is a use: the least recently used answer is evicted first', async (test) => {
  const { answer: ask, cached, replyWith } = setUp(2)
  replyWith(async () => yes)
  for (const key of ['a', 'b']) await ask(key, 'q')
  cached('a')
  await ask('c', 'q')
  test.strictSame([cached('a')?.answer, cached('b')], [yes, undefined])
})

await t.test(
  'attack: a request that was shed has no grace, because the API server is available',
  async (test) => {
    const { answer: ask, peek, pass, replyWith, fail } = setUp()
    replyWith(async () => yes)
    await ask('k', 'q')
    pass(60_001)
    replyWith(async () => {
      throw reviewShed()
    })
    await test.rejects(ask('k', 'q'), { code: 'UNAVAILABLE', headers: { 'retry-after': '1' } })
    test.equal(peek('k'), undefined)
    fail()
    test.equal(
      (await ask('k', 'q')).source,
      'grace',
      'and it has its grace when the API server is unavailable',
    )
  },
)

await t.test(
  'a request without an answer is reported once, also in the grace; a shed one was not sent',
  async (test) => {
    const { answer, unanswered, pass, replyWith, fail } = setUp()
    replyWith(async () => yes)
    await answer('k', 'q')
    fail()
    pass(60_001)
    await Promise.all([answer('k', 'q'), answer('k', 'q')])
    test.equal(unanswered(), 1)
    await Promise.allSettled([answer('other', 'q'), answer('other', 'q')])
    test.equal(unanswered(), 2)
    replyWith(async () => {
      throw reviewShed()
    })
    await test.rejects(answer('third', 'q'))
    test.equal(unanswered(), 2)
  },
)

await t.test('load gets the last answer', async (test) => {
  const told: (string | undefined)[] = []
  let now = 0
  const cache = new ReviewCache<string, string>({
    load: async (request, last) => {
      told.push(last)
      return request
    },
    onUnanswered: () => undefined,
    ttlMs: () => 10,
    graceMs: () => 0,
    ownerOf: () => '',
    max: 10,
    now: () => now,
  })
  await cache.answer('k', 'a')
  now = 11
  await cache.answer('k', 'b')
  test.strictSame(told, [undefined, 'a'])
})

await t.test('attack: one owner sends a thousand requests, and the answers of others stay', async (test) => {
  const cache = new ReviewCache<{ of: string; text: string }, string>({
    load: async ({ text }) => text,
    onUnanswered: () => undefined,
    ttlMs: () => 60_000,
    graceMs: () => 0,
    ownerOf: ({ of }) => of,
    max: 100,
    now: () => 0,
  })
  for (const who of ['alice', 'bob']) await cache.answer(`${who} 0`, { of: who, text: 'yes' })
  for (let index = 0; index < 1000; index++)
    await cache.answer(`mallory ${index}`, { of: 'mallory', text: 'no' })
  test.strictSame([cache.peek('alice 0'), cache.peek('bob 0')], ['yes', 'yes'])
  test.equal(cache.peek('mallory 0'), undefined)
})
