import t from 'tap'
import { RegistryError } from '../../../src/errors.ts'
import type { Ask, UpstreamRequest, UpstreamResponse } from '../../../src/quay/dispatcher.ts'
import { ConnectionsTaken, UpstreamLimit, UpstreamTrouble } from '../../../src/quay/failures.ts'
import { createOutage, UpstreamAway } from '../../../src/quay/trouble/outage.ts'
import { failure, manifestRequest, told } from '../upstream.ts'

const trouble = new UpstreamTrouble('UNAVAILABLE', 'reset')

/** Upstream does what the test says, on a clock of its own. */
const system = (answer: () => Promise<UpstreamResponse>) => {
  const state = { time: 0, asked: 0, refused: 0, discarded: 0 }
  const ask: Ask = createOutage({
    ask: async () => {
      state.asked++
      return await answer()
    },
    observeRefused: () => void state.refused++,
    now: () => state.time,
    retryMs: 1000,
  })
  const body = { deliver: async () => undefined, discard: async () => void state.discarded++ }
  const response: UpstreamResponse = { status: 200, headers: {}, digest: undefined, body }
  return { state, ask, response }
}

/** The same for another thing. */
const nth = (index: number, kind: UpstreamRequest['kind'] = 'manifest'): UpstreamRequest => ({
  ...manifestRequest,
  kind,
  path: `${manifestRequest.path}-${index}`,
})
const turn = () => new Promise((resolve) => setImmediate(resolve))

await t.test('after five troubles in a row nobody is asked, but for one a second', async (test) => {
  let isBack = false
  const { state, ask, response } = system(async () => {
    if (isBack) return response
    throw trouble
  })
  for (let index = 0; index < 5; index++) test.equal(await failure(ask(nth(index))), trouble)
  for (let index = 0; index < 100; index++) {
    const error = await failure(ask(nth(0)))
    test.ok(error instanceof UpstreamAway)
    test.equal(told(error), '503 UNAVAILABLE 2')
  }
  test.strictSame([state.asked, state.refused], [5, 100])
  state.time = 1000
  await Promise.all([failure(ask(nth(0))), failure(ask(nth(1)))])
  test.equal(state.asked, 6, 'one of them, beside')
  isBack = true
  state.time = 2000
  await failure(ask(nth(0)))
  await turn()
  test.strictSame([state.asked, state.discarded], [7, 1], 'what only found out leaves no body open')
  test.equal(await ask(manifestRequest), response)
  test.equal(state.discarded, 1)
})

await t.test('what is an answer does not count, nor who left', async (test) => {
  const controller = new AbortController()
  const errors = [
    new UpstreamLimit('slower', 1),
    new UpstreamLimit('full', 1, 'UNAVAILABLE'),
    new RegistryError('UNAVAILABLE', 'the robot is refused'),
  ]
  for (const error of errors) {
    const { state, ask } = system(async () => {
      throw error
    })
    for (let index = 0; index < 20; index++) test.equal(await failure(ask(nth(index))), error)
    test.strictSame([state.asked, state.refused], [20, 0])
  }
  const { state, ask } = system(async () => {
    controller.abort()
    throw trouble
  })
  for (let index = 0; index < 20; index++) await failure(ask({ ...nth(index), signal: controller.signal }))
  test.strictSame([state.asked, state.refused], [20, 0])
})

await t.test('the storage of blobs may be away alone', async (test) => {
  let answers = 0
  const { state, ask } = system(async () => {
    answers++
    throw trouble
  })
  for (let index = 0; index < 10; index++) await failure(ask(nth(index, 'blob')))
  test.strictSame([answers, state.refused], [5, 5])
  test.equal(await failure(ask(manifestRequest)), trouble)
})

await t.test('attack: images that are broken by themselves, asked for without end', async (test) => {
  const broken = new Set([nth(0).path, nth(1).path])
  const state = { time: 0, asked: 0 }
  const body = { deliver: async () => undefined, discard: async () => undefined }
  const response: UpstreamResponse = { status: 200, headers: {}, digest: undefined, body }
  const ask = createOutage({
    ask: async ({ path }) => {
      state.asked++
      if (broken.has(path)) throw trouble
      return response
    },
    observeRefused: () => undefined,
    now: () => state.time,
    retryMs: 1000,
  })
  for (let index = 0; index < 100; index++) test.equal(await failure(ask(nth(index % 2))), trouble)
  test.equal(await ask(nth(9)), response, 'one or two say nothing about all others')
  for (let index = 2; index < 9; index++) broken.add(nth(index).path)
  for (let index = 0; index < 9; index++) await failure(ask(nth(index % 3)))
  state.asked = 0
  state.time = 1000
  for (let index = 0; index < 9; index++) await failure(ask(nth(index % 3)))
  test.ok((await failure(ask(nth(9)))) instanceof UpstreamAway)
  test.equal(state.asked, 2, 'what had no trouble yet is tried beside what had')
  await turn()
  test.equal(await ask(nth(9)), response)
})

await t.test(
  'who leaves while theirs finds out: it stays as it was, and the next one finds out',
  async (test) => {
    const answers: PromiseWithResolvers<UpstreamResponse>[] = []
    const { state, ask, response } = system(async () => {
      const answer = Promise.withResolvers<UpstreamResponse>()
      answers.push(answer)
      return await answer.promise
    })
    const first = Array.from({ length: 5 }, async (_, index) => await failure(ask(nth(index))))
    for (const { reject } of answers) reject(trouble)
    await Promise.all(first)
    state.time = 1000
    const controller = new AbortController()
    await failure(ask({ ...nth(0), signal: controller.signal }))
    controller.abort()
    answers.at(-1)?.reject(trouble)
    await turn()
    await failure(ask(nth(0)))
    answers.at(-1)?.reject(new ConnectionsTaken())
    await turn()
    test.ok(
      (await failure(ask(nth(1)))) instanceof UpstreamAway,
      'not closed: nobody would be kept from asking',
    )
    test.equal(state.asked, 8, 'and at once another one finds out')
    answers.at(-1)?.resolve(response)
    await turn()
    const asked = ask(nth(1))
    answers.at(-1)?.resolve(response)
    test.equal(await asked, response)
  },
)
