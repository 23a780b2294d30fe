import t from 'tap'
import { RegistryError } from '../../../src/errors.ts'
import type { Ask, UpstreamRequest, UpstreamResponse } from '../../../src/quay/dispatcher.ts'
import {
  ConnectionsTaken,
  ObjectTrouble,
  UpstreamLimit,
  UpstreamTrouble,
} from '../../../src/quay/failures.ts'
import { CircuitOpen, createCircuitBreaker } from '../../../src/quay/trouble/circuit-breaker.ts'
import { failure, manifestRequest, told } from '../upstream.ts'

const trouble = new UpstreamTrouble('UNAVAILABLE', 'reset')
const response: UpstreamResponse = {
  status: 200,
  headers: {},
  digest: undefined,
  body: { deliver: async () => undefined, discard: async () => undefined },
}

type Answer = (request: UpstreamRequest) => Promise<UpstreamResponse>

/** Upstream does what the test says, on a clock of its own. */
const system = (answer: Answer) => {
  const state = { time: 0, asked: 0, refused: [] as string[] }
  const ask: Ask = createCircuitBreaker({
    ask: async (request) => {
      state.asked++
      return await answer(request)
    },
    observeRefused: (scope) => void state.refused.push(scope),
    now: () => state.time,
    retryMs: 1000,
  })
  return { state, ask }
}

/** The same for another thing, and by another asker. */
const nth = (index: number, more: Partial<UpstreamRequest> = {}): UpstreamRequest => ({
  ...manifestRequest,
  path: `${manifestRequest.path}-${index}`,
  ...more,
})
const fails: Answer = async () => Promise.reject(trouble)

await t.test('upstream is away: after five troubles one request a second is asked', async (test) => {
  let isBack = false
  const { state, ask } = system(async () => (isBack ? response : Promise.reject(trouble)))
  for (let index = 0; index < 5; index++) test.equal(await failure(ask(nth(index))), trouble)
  for (let index = 0; index < 100; index++) {
    const error = await failure(ask(nth(0)))
    test.ok(error instanceof CircuitOpen)
    test.equal(told(error), '503 UNAVAILABLE 2')
  }
  test.strictSame([state.asked, state.refused.length], [5, 100])
  test.ok(state.refused.every((scope) => scope === 'upstream'))
  state.time = 1000
  await Promise.all([failure(ask(nth(0))), failure(ask(nth(1)))])
  test.equal(state.asked, 6, 'one of them')
  isBack = true
  state.time = 2000
  test.equal(await ask(nth(0)), response, 'who finds out gets the answer')
  test.equal(await ask(nth(1)), response)
})

await t.test('a total outage opens for one asker alone, and a newcomer finds out at once', async (test) => {
  const { state, ask } = system(fails)
  for (let index = 0; index < 5; index++) await failure(ask(nth(index)))
  test.ok((await failure(ask(nth(0)))) instanceof CircuitOpen)
  for (const asker of ['bob', 'carol']) test.equal(await failure(ask(nth(9, { asker }))), trouble)
  const asked = state.asked
  for (const asker of ['alice', 'bob', 'carol'])
    test.ok((await failure(ask(nth(0, { asker })))) instanceof CircuitOpen, 'now it is open for everybody')
  test.equal(await failure(ask(nth(0, { asker: 'dave' }))), trouble)
  test.ok((await failure(ask(nth(0, { asker: 'dave' })))) instanceof CircuitOpen)
  test.equal(state.asked, asked + 1)
})

await t.test('what is an answer does not count, nor who left', async (test) => {
  const errors = [
    new UpstreamLimit('slower', 1),
    new UpstreamLimit('full', 1, 'UNAVAILABLE'),
    new RegistryError('UNAVAILABLE', 'the robot is refused'),
    new ConnectionsTaken(),
  ]
  for (const error of errors) {
    const { state, ask } = system(async () => Promise.reject(error))
    for (let index = 0; index < 20; index++) test.equal(await failure(ask(nth(index % 4))), error)
    test.strictSame([state.asked, state.refused], [20, []])
  }
  const controller = new AbortController()
  const { state, ask } = system(async () => {
    controller.abort()
    throw trouble
  })
  for (let index = 0; index < 20; index++) await failure(ask(nth(index % 4, { signal: controller.signal })))
  test.strictSame([state.asked, state.refused], [20, []])
})

await t.test('the storage of blobs may be away alone', async (test) => {
  const { state, ask } = system(fails)
  for (let index = 0; index < 5; index++) await failure(ask(nth(index, { kind: 'blob' })))
  test.ok((await failure(ask(nth(0, { kind: 'blob' })))) instanceof CircuitOpen)
  test.equal(state.asked, 5)
  test.equal(await failure(ask(manifestRequest)), trouble)
})

await t.test('who leaves while theirs finds out: the next one finds out', async (test) => {
  const answers: PromiseWithResolvers<UpstreamResponse>[] = []
  const { state, ask } = system(async () => {
    const answer = Promise.withResolvers<UpstreamResponse>()
    answers.push(answer)
    return await answer.promise
  })
  const first = Array.from({ length: 5 }, async (_, index) => await failure(ask(nth(index))))
  for (const { reject } of answers) reject(trouble)
  await Promise.all(first)
  state.time = 1000
  const controller = new AbortController()
  const left = failure(ask(nth(0, { signal: controller.signal })))
  controller.abort()
  answers.at(-1)?.reject(trouble)
  await left
  const next = ask(nth(1))
  test.ok((await failure(ask(nth(2)))) instanceof CircuitOpen, 'one at a time')
  answers.at(-1)?.resolve(response)
  test.equal(await next, response)
  test.equal(state.asked, 7)
})

await t.test('one path that is broken is refused by itself, less and less often asked for', async (test) => {
  const { state, ask } = system(async ({ path }) =>
    path === nth(0).path ? Promise.reject(trouble) : response,
  )
  for (let index = 0; index < 5; index++) test.equal(await failure(ask(nth(0))), trouble)
  const probes: number[] = []
  for (state.time = 0; state.time < 12_000; state.time += 100) {
    if ((await failure(ask(nth(0)))) === trouble) probes.push(state.time)
    test.equal(await ask(nth(1)), response)
  }
  test.strictSame(probes, [300, 600, 1100, 2100, 4100, 8100])
  test.ok(state.refused.every((scope) => scope === 'path'))
  test.equal(await failure(ask(nth(0, { asker: 'bob' }))), trouble, 'who had no trouble with it finds out')
})

await t.test('attack: parts of a blob that its storage does not hand out', async (test) => {
  const { ask } = system(async ({ headers }) => (headers['range'] ? Promise.reject(trouble) : response))
  for (let index = 0; index < 30; index++)
    for (const asker of ['mallory', 'trudy', 'eve', 'oscar'])
      await failure(ask(nth(index % 4, { kind: 'blob', asker, headers: { range: `bytes=${index}-` } })))
  for (let index = 0; index < 4; index++)
    test.equal(await ask(nth(index, { kind: 'blob', asker: 'bob' })), response)
})

await t.test('attack on memory: ever new paths that are broken', async (test) => {
  const { state, ask } = system(async ({ path }) =>
    path.endsWith('-well') ? response : Promise.reject(trouble),
  )
  const well = (asker: string) => ask({ ...manifestRequest, path: 'a-well', asker })
  for (let index = 0; index < 3000; index++) {
    state.time += 1000
    await failure(ask(nth(index, { asker: 'mallory' })))
  }
  test.equal(await well('bob'), response)
})

await t.test('generated: statuses of a storage, paths and askers; nobody else notices', async (test) => {
  const errors = {
    403: new ObjectTrouble('403'),
    404: new RegistryError('BLOB_UNKNOWN', '404'),
    500: trouble,
    504: new UpstreamTrouble('UNAVAILABLE', '504', { status: 504 }),
  }
  for (const [status, error] of Object.entries(errors))
    for (const paths of [1, 2, 3, 6, 50])
      for (const askers of [1, 2])
        for (const kind of ['blob', 'manifest', 'tags', 'referrers'] as const) {
          const { state, ask } = system(async ({ path }) =>
            path === nth(999).path ? response : Promise.reject(error),
          )
          for (let index = 0; index < 240; index++) {
            const request = nth(index % paths, { kind, asker: `mallory ${index % askers}` })
            await failure(ask(request))
            state.time += 10
          }
          const name = `${status}, ${paths} paths, ${askers} askers, ${kind}`
          // Not even one answer between the attempts: a quiet hour.
          test.equal(await ask(nth(999, { kind, asker: 'bob' })), response, name)
          if (status !== '404') test.ok(state.asked < 240 || paths === 50, `${name}: upstream is spared`)
        }
})

await t.test(
  'generated: three askers and more with broken paths: the first to come finds out',
  async (test) => {
    for (const askers of [3, 10, 100])
      for (const paths of [3, 30]) {
        const { state, ask } = system(async ({ path }) =>
          path === nth(999).path ? response : Promise.reject(trouble),
        )
        for (let round = 0; round < 20; round++) {
          for (let index = 0; index < 100; index++)
            await failure(ask(nth(index % paths, { asker: `mallory ${index % askers}` })))
          for (const asker of ['bob', 'carol', 'dave']) {
            test.equal(await ask(nth(999, { asker })), response, `${askers} askers, ${paths} paths`)
            test.equal(await ask(nth(999, { asker })), response)
          }
          state.time += 777
        }
      }
  },
)

await t.test('the background finds nothing out, and has nothing to say', async (test) => {
  const priority = 'background'
  let isWell = false
  const { state, ask } = system(async () => (isWell ? response : Promise.reject(trouble)))
  for (let index = 0; index < 50; index++)
    test.equal(await failure(ask(nth(index % 5, { priority }))), trouble)
  test.equal(await failure(ask(nth(0))), trouble, 'its failures close nothing to others')
  for (let index = 0; index < 5; index++) await failure(ask(nth(0)))
  state.time = 60_000
  test.ok((await failure(ask(nth(0, { priority })))) instanceof CircuitOpen, 'the path is refused')
  for (let index = 0; index < 5; index++) await failure(ask(nth(index)))
  state.time = 120_000
  test.ok((await failure(ask(nth(7, { priority })))) instanceof CircuitOpen, 'upstream is away')
  isWell = true
  test.ok((await failure(ask(nth(7, { priority })))) instanceof CircuitOpen)
  test.equal(await ask(nth(0)), response)
  test.equal(await ask(nth(7, { priority })), response)
})

await t.test('by the clock of the process', async (test) => {
  const ask = createCircuitBreaker({ ask: fails, observeRefused: () => undefined })
  for (let index = 0; index < 5; index++) test.equal(await failure(ask(nth(index))), trouble)
  test.ok((await failure(ask(nth(0)))) instanceof CircuitOpen)
})
