import t from 'tap'
import { reviewShed } from '../../src/kubernetes/review-shed.ts'
import { createReviewCache } from '../../src/kubernetes/review-cache.ts'

interface Answer {
  readonly text: string
  readonly ttlMs: number
  readonly graceMs: number
}

const setUp = (max = 100) => {
  let now = 1_000_000
  let reply: (question: string) => Promise<Answer> = async () => {
    throw new Error('no reply')
  }
  const asked: string[] = []
  const remembered = createReviewCache<string, Answer>({
    ask: async (question) => {
      asked.push(question)
      return await reply(question)
    },
    ttlMs: (answer) => answer.ttlMs,
    graceMs: (answer) => answer.graceMs,
    ownerOf: () => 'somebody',
    max,
    now: () => now,
  })
  return {
    ...remembered,
    asked,
    pass: (milliseconds: number) => {
      now += milliseconds
    },
    replyWith: (next: typeof reply) => {
      reply = next
    },
    away: () => {
      reply = async () => {
        throw new Error('away')
      }
    },
  }
}

const yes = { text: 'yes', ttlMs: 60_000, graceMs: 300_000 }
const no = { text: 'no', ttlMs: 10_000, graceMs: 0 }

await t.test('an answer holds for its own life, and not longer', async (test) => {
  for (const answer of [yes, no]) {
    const { answer: ask, peek, asked, pass, replyWith } = setUp()
    replyWith(async () => answer)
    test.equal(peek('k'), undefined)
    test.strictSame(await ask('k', 'q'), { answer, source: 'live' })
    pass(answer.ttlMs - 1)
    test.equal(peek('k'), answer)
    test.strictSame(await ask('k', 'q'), { answer, source: 'cached' })
    pass(2)
    test.equal(peek('k'), undefined)
    test.strictSame(await ask('k', 'q'), { answer, source: 'live' })
    test.strictSame(asked, ['q', 'q'])
  }
})

await t.test('looking does not lengthen a life', async (test) => {
  const { answer: ask, peek, asked, pass, replyWith } = setUp()
  replyWith(async () => yes)
  await ask('k', 'q')
  for (let second = 0; second < 61; second++) {
    pass(1000)
    peek('k')
    await ask('k', 'q')
  }
  test.equal(asked.length, 2)
})

await t.test('keys keep answers apart', async (test) => {
  const { answer: ask, peek, asked, replyWith } = setUp()
  replyWith(async (text) => ({ ...yes, text }))
  await ask('a', 'of a')
  await ask('b', 'of b')
  test.equal(peek('a')?.text, 'of a')
  test.equal(peek('b')?.text, 'of b')
  test.strictSame(asked, ['of a', 'of b'])
})

await t.test('a life of nothing, or less, is not for ever', async (test) => {
  for (const ttlMs of [0, -1, -1e12]) {
    const { answer: ask, peek, asked, pass, replyWith } = setUp()
    replyWith(async () => ({ ...yes, ttlMs }))
    await ask('k', 'q')
    pass(2)
    test.equal(peek('k'), undefined)
    await ask('k', 'q')
    test.equal(asked.length, 2)
  }
})

await t.test('many ask, one question; only the one who asked has asked', async (test) => {
  const { answer: ask, asked, replyWith } = setUp()
  const gate = Promise.withResolvers<Answer>()
  replyWith(async () => await gate.promise)
  const all = Promise.all(Array.from({ length: 20 }, async () => await ask('k', 'q')))
  gate.resolve(yes)
  const answers = await all
  test.equal(asked.length, 1)
  test.equal(answers.filter(({ source }) => source === 'live').length, 1)
  test.equal(answers.filter(({ source }) => source === 'cached').length, 19)
  test.ok(answers.every(({ answer }) => answer === yes))
})

await t.test(
  'many ask in vain: one question, the same failure for all, and nobody remembers it',
  async (test) => {
    const { answer: ask, peek, asked, replyWith, away } = setUp()
    away()
    const results = await Promise.allSettled(Array.from({ length: 20 }, async () => await ask('k', 'q')))
    test.ok(results.every((result) => result.status === 'rejected'))
    test.equal(asked.length, 1)
    test.equal(peek('k'), undefined)
    replyWith(async () => yes)
    test.strictSame(await ask('k', 'q'), { answer: yes, source: 'live' })
  },
)

await t.test('an evicted question still answers those who wait for it', async (test) => {
  const { answer: ask, peek, asked, replyWith } = setUp(1)
  const gates = new Map([
    ['a', Promise.withResolvers<Answer>()],
    ['c', Promise.withResolvers<Answer>()],
  ])
  replyWith(async (question) => (await gates.get(question)?.promise) ?? { ...yes, text: 'other' })
  const first = ask('a', 'a')
  const third = ask('c', 'c')
  await ask('b', 'b')
  gates.get('a')?.resolve(yes)
  gates.get('c')?.reject(new Error('away'))
  test.strictSame(await first, { answer: yes, source: 'live' })
  await test.rejects(third, { message: 'away' })
  test.strictSame(asked, ['a', 'c', 'b'])
  test.equal(peek('a'), yes, 'and the last answer is the one that is kept')
})

await t.test('while the other side is away, an answer outlives its life by the grace', async (test) => {
  const { answer: ask, peek, peekInGrace, asked, pass, replyWith, away } = setUp()
  replyWith(async () => yes)
  await ask('k', 'q')
  test.equal(peekInGrace('k'), yes, 'a live one counts as well')
  away()
  pass(60_001)
  test.equal(peek('k'), undefined, 'whoever does not ask does not know that it is away')
  test.equal(peekInGrace('k'), yes)
  test.strictSame(await ask('k', 'q'), { answer: yes, source: 'grace' })
  test.equal(asked.length, 2)
  pass(999)
  test.strictSame(await ask('k', 'q'), { answer: yes, source: 'grace' })
  test.equal(asked.length, 2, 'not asked again for a second')
  pass(2)
  test.strictSame(await ask('k', 'q'), { answer: yes, source: 'grace' })
  test.equal(asked.length, 3)
  replyWith(async () => no)
  pass(1001)
  test.strictSame(await ask('k', 'q'), { answer: no, source: 'live' }, 'it is back, and its word counts')
  test.equal(peekInGrace('k'), undefined)
})

await t.test('the grace ends, measured from when the answer was given', async (test) => {
  const { answer: ask, peekInGrace, pass, replyWith, away } = setUp()
  replyWith(async () => yes)
  await ask('k', 'q')
  away()
  pass(299_500)
  test.equal((await ask('k', 'q')).source, 'grace')
  pass(499)
  test.equal((await ask('k', 'q')).source, 'grace')
  test.equal(peekInGrace('k'), yes)
  pass(2)
  test.equal(peekInGrace('k'), undefined)
  await test.rejects(ask('k', 'q'), { message: 'away' }, 'the wait between two tries does not stretch it')
  await test.rejects(ask('k', 'q'), { message: 'away' })
})

await t.test(
  'no grace: for an answer that must not have it, and for one that was never given',
  async (test) => {
    const { answer: ask, peek, peekInGrace, pass, replyWith, away } = setUp()
    replyWith(async () => no)
    await ask('k', 'q')
    test.equal(peekInGrace('k'), undefined)
    away()
    test.equal((await ask('k', 'q')).source, 'cached', 'it holds as long as it lives')
    pass(no.ttlMs + 1)
    await test.rejects(ask('k', 'q'), { message: 'away' })
    await test.rejects(ask('other', 'q'), { message: 'away' })
    test.equal(peek('k'), undefined)
    test.equal(peekInGrace('other'), undefined)
  },
)

await t.test('what is known, and where it came from: nobody is asked', async (test) => {
  const { answer: ask, known, peekInGrace, asked, pass, replyWith, away } = setUp()
  test.equal(known('k'), undefined)
  replyWith(async () => yes)
  await ask('k', 'q')
  test.strictSame(known('k'), { answer: yes, source: 'cached' })
  pass(yes.ttlMs + 1)
  test.equal(known('k'), undefined, 'its life is over')
  test.equal(peekInGrace('k'), yes, 'and having looked does not cost it its grace')
  away()
  test.strictSame(await ask('k', 'q'), { answer: yes, source: 'grace' })
  test.strictSame(known('k'), { answer: yes, source: 'grace' })
  test.strictSame(asked, ['q', 'q'])
})

await t.test('what is being asked again is not known meanwhile', async (test) => {
  const { answer: ask, known, pass, replyWith } = setUp()
  replyWith(async () => yes)
  await ask('k', 'q')
  pass(yes.ttlMs + 1)
  const { promise, resolve } = Promise.withResolvers<Answer>()
  replyWith(async () => await promise)
  const asking = ask('k', 'q')
  test.equal(known('k'), undefined)
  resolve(no)
  await asking
  test.strictSame(known('k'), { answer: no, source: 'cached' })
})

await t.test('being looked up is a use: the least recently used goes first', async (test) => {
  const { answer: ask, known, replyWith } = setUp(2)
  replyWith(async () => yes)
  for (const key of ['a', 'b']) await ask(key, 'q')
  known('a')
  await ask('c', 'q')
  test.strictSame([known('a')?.answer, known('b')], [yes, undefined])
})

await t.test(
  'attack: what was shed because of how much is asked has no grace: the API server is not away',
  async (test) => {
    const { answer: ask, peek, pass, replyWith, away } = setUp()
    replyWith(async () => yes)
    await ask('k', 'q')
    pass(60_001)
    replyWith(async () => {
      throw reviewShed()
    })
    await test.rejects(ask('k', 'q'), { code: 'UNAVAILABLE', headers: { 'retry-after': '1' } })
    test.equal(peek('k'), undefined)
    away()
    test.equal((await ask('k', 'q')).source, 'grace', 'and it has it still where the API server is')
  },
)

await t.test('who asks is told what the last answer was', async (test) => {
  const told: (string | undefined)[] = []
  let now = 0
  const remembered = createReviewCache<string, string>({
    ask: async (question, last) => {
      told.push(last)
      return question
    },
    ttlMs: () => 10,
    graceMs: () => 0,
    ownerOf: () => '',
    max: 10,
    now: () => now,
  })
  await remembered.answer('k', 'a')
  now = 11
  await remembered.answer('k', 'b')
  test.strictSame(told, [undefined, 'a'])
})

await t.test('attack: one owner asks a thousand questions, and the answers of others stay', async (test) => {
  const remembered = createReviewCache<{ of: string; text: string }, string>({
    ask: async ({ text }) => text,
    ttlMs: () => 60_000,
    graceMs: () => 0,
    ownerOf: ({ of }) => of,
    max: 100,
    now: () => 0,
  })
  for (const who of ['alice', 'bob']) await remembered.answer(`${who} 0`, { of: who, text: 'yes' })
  for (let index = 0; index < 1000; index++)
    await remembered.answer(`mallory ${index}`, { of: 'mallory', text: 'no' })
  test.strictSame([remembered.peek('alice 0'), remembered.peek('bob 0')], ['yes', 'yes'])
  test.equal(remembered.peek('mallory 0'), undefined)
})
