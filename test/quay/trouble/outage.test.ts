import t from 'tap'
import { RegistryError } from '../../../src/errors.ts'
import type { Ask, UpstreamRequest, UpstreamResponse } from '../../../src/quay/dispatcher.ts'
import { UpstreamLimit, UpstreamTrouble } from '../../../src/quay/failures.ts'
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

const blobRequest: UpstreamRequest = { ...manifestRequest, kind: 'blob' }

await t.test('after five troubles in a row nobody is asked, but for one a second', async (test) => {
  let isBack = false
  const { state, ask, response } = system(async () => {
    if (isBack) return response
    throw trouble
  })
  for (let index = 0; index < 5; index++) test.equal(await failure(ask(manifestRequest)), trouble)
  for (let index = 0; index < 100; index++) {
    const error = await failure(ask(manifestRequest))
    test.ok(error instanceof UpstreamAway)
    test.equal(told(error), '503 UNAVAILABLE 2')
  }
  test.strictSame([state.asked, state.refused], [5, 100])
  state.time = 1000
  await Promise.all([failure(ask(manifestRequest)), failure(ask(manifestRequest))])
  test.equal(state.asked, 6, 'one of them, beside')
  isBack = true
  state.time = 2000
  await failure(ask(manifestRequest))
  await new Promise((resolve) => setImmediate(resolve))
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
    for (let index = 0; index < 20; index++) test.equal(await failure(ask(manifestRequest)), error)
    test.strictSame([state.asked, state.refused], [20, 0])
  }
  const { state, ask } = system(async () => {
    controller.abort()
    throw trouble
  })
  for (let index = 0; index < 20; index++)
    await failure(ask({ ...manifestRequest, signal: controller.signal }))
  test.strictSame([state.asked, state.refused], [20, 0])
})

await t.test('the storage of blobs may be away alone', async (test) => {
  let answers = 0
  const { state, ask } = system(async () => {
    answers++
    throw trouble
  })
  for (let index = 0; index < 10; index++) await failure(ask(blobRequest))
  test.strictSame([answers, state.refused], [5, 5])
  test.equal(await failure(ask(manifestRequest)), trouble)
})
