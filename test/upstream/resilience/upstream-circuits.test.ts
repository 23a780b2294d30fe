import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import {
  PoolExhausted,
  TransientObjectError,
  UpstreamRateLimited,
  TransientUpstreamError,
} from '../../../src/upstream/errors.ts'
import { CircuitOpen, withCircuitBreaker } from '../../../src/upstream/resilience/upstream-circuits.ts'
import { failure, manifestRequest, told } from '../upstream.ts'
import type { SendUpstream, UpstreamRequest, UpstreamResponse } from '../../../src/upstream/request.ts'

const transientError = new TransientUpstreamError('UNAVAILABLE', 'reset')
const response: UpstreamResponse = {
  status: 200,
  headers: {},
  digest: undefined,
  body: { pipeTo: async () => undefined, discard: async () => undefined },
}

type Answer = (request: UpstreamRequest) => Promise<UpstreamResponse>

/** The test decides what upstream answers, and moves its clock. */
const system = (answer: Answer) => {
  const state = { time: 0, asked: 0, refused: [] as string[] }
  const send: SendUpstream = withCircuitBreaker({
    send: async (request) => {
      state.asked++
      return await answer(request)
    },
    observeRefused: (scope) => void state.refused.push(scope),
    now: () => state.time,
    retryMs: 1000,
  })
  return { state, send }
}

/** The same for another thing, and by another requester. */
const nth = (index: number, more: Partial<UpstreamRequest> = {}): UpstreamRequest => ({
  ...manifestRequest,
  path: `${manifestRequest.path}-${index}`,
  ...more,
})
const fails: Answer = async () => Promise.reject(transientError)

await t.test('upstream is down: after five failures one request a second is sent', async (test) => {
  let isBack = false
  const { state, send } = system(async () => (isBack ? response : Promise.reject(transientError)))
  for (let index = 0; index < 5; index++) test.equal(await failure(send(nth(index))), transientError)
  for (let index = 0; index < 100; index++) {
    const error = await failure(send(nth(0)))
    test.ok(error instanceof CircuitOpen)
    test.equal(told(error), '503 UNAVAILABLE 2')
  }
  test.strictSame([state.asked, state.refused.length], [5, 100])
  test.ok(state.refused.every((scope) => scope === 'upstream'))
  state.time = 1000
  await Promise.all([failure(send(nth(0))), failure(send(nth(1)))])
  test.equal(state.asked, 6, 'one of them')
  isBack = true
  state.time = 2000
  test.equal(await send(nth(0)), response, 'who finds out gets the answer')
  test.equal(await send(nth(1)), response)
})

await t.test(
  'a total failure opens the circuit for one requester alone, and the request of a newcomer is a probe at once',
  async (test) => {
    const { state, send } = system(fails)
    for (let index = 0; index < 5; index++) await failure(send(nth(index)))
    test.ok((await failure(send(nth(0)))) instanceof CircuitOpen)
    for (const requester of ['bob', 'carol'])
      test.equal(await failure(send(nth(9, { requester }))), transientError)
    const asked = state.asked
    for (const requester of ['alice', 'bob', 'carol'])
      test.ok(
        (await failure(send(nth(0, { requester })))) instanceof CircuitOpen,
        'now it is open for everybody',
      )
    test.equal(await failure(send(nth(0, { requester: 'dave' }))), transientError)
    test.ok((await failure(send(nth(0, { requester: 'dave' })))) instanceof CircuitOpen)
    test.equal(state.asked, asked + 1)
  },
)

await t.test('answers and aborted requests do not count', async (test) => {
  const errors = [
    new UpstreamRateLimited('slower', 1),
    new UpstreamRateLimited('full', 1, 'UNAVAILABLE'),
    new RegistryError('UNAVAILABLE', 'the robot is refused'),
    new PoolExhausted(),
  ]
  for (const error of errors) {
    const { state, send } = system(async () => Promise.reject(error))
    for (let index = 0; index < 20; index++) test.equal(await failure(send(nth(index % 4))), error)
    test.strictSame([state.asked, state.refused], [20, []])
  }
  const controller = new AbortController()
  const { state, send } = system(async () => {
    controller.abort()
    throw transientError
  })
  for (let index = 0; index < 20; index++) await failure(send(nth(index % 4, { signal: controller.signal })))
  test.strictSame([state.asked, state.refused], [20, []])
})

await t.test('the storage of blobs can fail alone', async (test) => {
  const { state, send } = system(fails)
  for (let index = 0; index < 5; index++) await failure(send(nth(index, { kind: 'blob' })))
  test.ok((await failure(send(nth(0, { kind: 'blob' })))) instanceof CircuitOpen)
  test.equal(state.asked, 5)
  test.equal(await failure(send(manifestRequest)), transientError)
})

await t.test('if the caller of a probe leaves, the next request is a probe', async (test) => {
  const answers: PromiseWithResolvers<UpstreamResponse>[] = []
  const { state, send } = system(async () => {
    const answer = Promise.withResolvers<UpstreamResponse>()
    answers.push(answer)
    return await answer.promise
  })
  const first = Array.from({ length: 5 }, async (_, index) => await failure(send(nth(index))))
  for (const { reject } of answers) reject(transientError)
  await Promise.all(first)
  state.time = 1000
  const controller = new AbortController()
  const left = failure(send(nth(0, { signal: controller.signal })))
  controller.abort()
  answers.at(-1)?.reject(transientError)
  await left
  const next = send(nth(1))
  test.ok((await failure(send(nth(2)))) instanceof CircuitOpen, 'one at a time')
  answers.at(-1)?.resolve(response)
  test.equal(await next, response)
  test.equal(state.asked, 7)
})

await t.test('one broken path is refused alone, with fewer and fewer probes', async (test) => {
  const { state, send } = system(async ({ path }) =>
    path === nth(0).path ? Promise.reject(transientError) : response,
  )
  for (let index = 0; index < 5; index++) test.equal(await failure(send(nth(0))), transientError)
  const probes: number[] = []
  for (state.time = 0; state.time < 12_000; state.time += 100) {
    if ((await failure(send(nth(0)))) === transientError) probes.push(state.time)
    test.equal(await send(nth(1)), response)
  }
  test.strictSame(probes, [300, 600, 1100, 2100, 4100, 8100])
  test.ok(state.refused.every((scope) => scope === 'path'))
  test.equal(
    await failure(send(nth(0, { requester: 'bob' }))),
    transientError,
    'a requester without a failure of it is a probe',
  )
})

await t.test('attack: refused ranges of a blob do not refuse the whole blob', async (test) => {
  const { send } = system(async ({ headers }) =>
    headers['range'] ? Promise.reject(transientError) : response,
  )
  for (let index = 0; index < 30; index++)
    for (const requester of ['mallory', 'trudy', 'eve', 'oscar'])
      await failure(send(nth(index % 4, { kind: 'blob', requester, headers: { range: `bytes=${index}-` } })))
  for (let index = 0; index < 4; index++)
    test.equal(await send(nth(index, { kind: 'blob', requester: 'bob' })), response)
})

await t.test('attack on memory: ever new broken paths', async (test) => {
  const { state, send } = system(async ({ path }) =>
    path.endsWith('-well') ? response : Promise.reject(transientError),
  )
  const well = (requester: string) => send({ ...manifestRequest, path: 'a-well', requester })
  for (let index = 0; index < 3000; index++) {
    state.time += 1000
    await failure(send(nth(index, { requester: 'mallory' })))
  }
  test.equal(await well('bob'), response)
})

await t.test('generated: failures of some paths and requesters do not affect others', async (test) => {
  const errors = {
    403: new TransientObjectError('403'),
    404: new RegistryError('BLOB_UNKNOWN', '404'),
    500: transientError,
    504: new TransientUpstreamError('UNAVAILABLE', '504', { status: 504 }),
  }
  for (const [status, error] of Object.entries(errors))
    for (const paths of [1, 2, 3, 6, 50])
      for (const requesters of [1, 2])
        for (const kind of ['blob', 'manifest', 'tags', 'referrers'] as const) {
          const { state, send } = system(async ({ path }) =>
            path === nth(999).path ? response : Promise.reject(error),
          )
          for (let index = 0; index < 240; index++) {
            const request = nth(index % paths, { kind, requester: `mallory ${index % requesters}` })
            await failure(send(request))
            state.time += 10
          }
          const name = `${status}, ${paths} paths, ${requesters} requesters, ${kind}`
          // Not even one answer between the attempts: a quiet hour.
          test.equal(await send(nth(999, { kind, requester: 'bob' })), response, name)
          if (status !== '404') test.ok(state.asked < 240 || paths === 50, `${name}: upstream is spared`)
        }
})

await t.test(
  'generated: three requesters or more with broken paths: the next newcomer is a probe',
  async (test) => {
    for (const requesters of [3, 10, 100])
      for (const paths of [3, 30]) {
        const { state, send } = system(async ({ path }) =>
          path === nth(999).path ? response : Promise.reject(transientError),
        )
        for (let round = 0; round < 20; round++) {
          for (let index = 0; index < 100; index++)
            await failure(send(nth(index % paths, { requester: `mallory ${index % requesters}` })))
          for (const requester of ['bob', 'carol', 'dave']) {
            test.equal(
              await send(nth(999, { requester })),
              response,
              `${requesters} requesters, ${paths} paths`,
            )
            test.equal(await send(nth(999, { requester })), response)
          }
          state.time += 777
        }
      }
  },
)

await t.test('a background request is no probe, and its failure is no evidence', async (test) => {
  const priority = 'background'
  let isHealthy = false
  const { state, send } = system(async () => (isHealthy ? response : Promise.reject(transientError)))
  for (let index = 0; index < 50; index++)
    test.equal(await failure(send(nth(index % 5, { priority }))), transientError)
  test.equal(await failure(send(nth(0))), transientError, 'its failures close nothing to others')
  for (let index = 0; index < 5; index++) await failure(send(nth(0)))
  state.time = 60_000
  test.ok((await failure(send(nth(0, { priority })))) instanceof CircuitOpen, 'the path is refused')
  for (let index = 0; index < 5; index++) await failure(send(nth(index)))
  state.time = 120_000
  test.ok((await failure(send(nth(7, { priority })))) instanceof CircuitOpen, 'upstream is away')
  isHealthy = true
  test.ok((await failure(send(nth(7, { priority })))) instanceof CircuitOpen)
  test.equal(await send(nth(0)), response)
  test.equal(await send(nth(7, { priority })), response)
})

await t.test('the clock of the process is the default', async (test) => {
  const send = withCircuitBreaker({ send: fails, observeRefused: () => undefined })
  for (let index = 0; index < 5; index++) test.equal(await failure(send(nth(index))), transientError)
  test.ok((await failure(send(nth(0)))) instanceof CircuitOpen)
})
