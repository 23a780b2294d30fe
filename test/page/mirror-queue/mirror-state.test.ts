import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import { MirrorState } from '../../../src/page/mirror-queue/mirror-state.ts'
import type { RawAnswer } from '../../../src/page/mirror-queue/mirror-answer.ts'
import { task } from './fake-mirror.ts'

const mirrorOf = (answer: () => unknown) => {
  const seen: string[] = []
  const clock = { now: 0 }
  const get = async (holder: string, path: string, query?: string): Promise<RawAnswer> => {
    seen.push(`${holder} ${path}?${query}`)
    return { status: 200, body: Buffer.from(JSON.stringify(answer())) }
  }
  return { seen, clock, state: new MirrorState({ get }, () => clock.now) }
}

await t.test('the length of the queue, and its dead images', async (test) => {
  let dead = 0
  const { state, seen } = mirrorOf(() => ({ total: dead + 1, mirrors: Array(dead).fill(task) }))
  await state.refresh()
  test.match(state.current(), {
    name: 'mirror',
    state: 'works',
    detail: '1 image in the queue, 0 of them dead',
  })
  test.strictSame(seen, ['mirror /api/v1/mirrors?action=show&state=dead&limit=100'])
  dead = 100
  await state.refresh()
  test.equal(state.current().detail, '101 images in the queue, 100 or more of them dead')
})

await t.test('visitors cause one request in ten seconds', async (test) => {
  const untimed = new MirrorState({ get: async () => ({ status: 500, body: Buffer.alloc(0) }) })
  test.equal(untimed.current().state, 'unknown')
  const { state, seen, clock } = mirrorOf(() => ({ total: 0, mirrors: null }))
  test.equal(state.current().state, 'unknown')
  state.current()
  test.equal(seen.length, 1)
  await new Promise(setImmediate)
  clock.now = 9999
  state.current()
  test.equal(seen.length, 1)
  clock.now = 10_000
  test.equal(state.current().state, 'works')
  test.equal(seen.length, 2)
})

await t.test('a mirror that fails', async (test) => {
  const failing = mirrorOf(() => {
    throw new RegistryError('UNAVAILABLE', 'the mirror cannot be reached')
  })
  await failing.state.refresh()
  test.match(failing.state.current(), { state: 'fails', detail: 'the mirror cannot be reached' })
  const broken = mirrorOf(() => {
    throw new TypeError('a secret of the program')
  })
  await broken.state.refresh()
  test.strictSame(broken.state.current(), {
    name: 'mirror',
    page: '/mirrors',
    state: 'fails',
    detail: undefined,
  })
})
