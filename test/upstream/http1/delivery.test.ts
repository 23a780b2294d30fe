import t from 'tap'
import type { Stretch } from '../../../src/upstream/http1/read-buffer.ts'
import { createDelivery } from '../../../src/upstream/http1/delivery.ts'

function outflowOf() {
  const events: string[] = []
  const waiting: Stretch[] = []
  const state = { isComplete: false, now: 0 }
  const delivery = createDelivery({
    readBuffer: { isEmpty: () => waiting.length === 0, next: () => waiting.shift() },
    release: ({ bytes }) => void events.push(`release ${String(bytes)}`),
    isComplete: () => state.isComplete,
    pause: () => void events.push('pause'),
    resume: () => void events.push('resume'),
    onWritten: (ms) => void events.push(`written ${ms}`),
    onThrown: (error) => void events.push(`thrown ${String(error)}`),
    onDelivered: () => void events.push('delivered'),
    now: () => state.now,
  })
  const read = (text: string): void => {
    const bytes = Buffer.from(text)
    waiting.push({ bytes, slab: { memory: bytes, holders: 2, isSpoilt: false } })
    delivery.flow()
  }
  const told = (): string[] => events.splice(0)
  return { ...delivery, read, told, state }
}

await t.test('a taker that writes at once is never waited for', async (test) => {
  const { start, read, told, isHeld, state } = outflowOf()
  read('a')
  test.same([isHeld(), told()], [true, []])
  start((_chunk, written) => written())
  test.same([isHeld(), told()], [false, ['release a', 'written 0', 'resume']])
  read('b')
  await Promise.resolve()
  test.same(told(), ['release b', 'written 0'])
  state.isComplete = true
  read('c')
  test.equal(told().pop(), 'delivered')
})

await t.test('a slow taker holds upstream back, and gets one chunk at a time', async (test) => {
  const { start, read, told, isHeld, state } = outflowOf()
  const out: Array<() => void> = []
  start((_chunk, written) => void out.push(written))
  test.same(told(), ['resume'])
  read('a')
  test.same(told(), [])
  await Promise.resolve()
  test.same([isHeld(), told()], [true, ['pause']])
  read('b')
  test.equal(out.length, 1)
  state.now = 7
  out[0]?.()
  out[0]?.()
  test.same([isHeld(), told(), out.length], [true, ['release a', 'written 7'], 2])
  out[1]?.()
  test.same([isHeld(), told()], [false, ['release b', 'written 7', 'resume']])
})

await t.test(
  'nothing is paused for a chunk that was written, or was the last, or when all stopped',
  async (test) => {
    for (const change of ['written', 'complete', 'stopped']) {
      const { start, read, told, stop, state } = outflowOf()
      let write = (): void => undefined
      start((_chunk, written) => {
        write = written
      })
      read('a')
      told()
      if (change === 'written') write()
      else if (change === 'complete') state.isComplete = true
      else stop()
      await Promise.resolve()
      test.notOk(told().includes('pause'), change)
    }
  },
)

await t.test('what the taker throws, and nothing after it is stopped', (test) => {
  const { start, read, told, stop } = outflowOf()
  start(() => {
    throw new Error('mine')
  })
  read('a')
  test.same(told(), ['resume', 'thrown Error: mine'])
  stop()
  read('b')
  test.same(told(), [])
  test.end()
})
