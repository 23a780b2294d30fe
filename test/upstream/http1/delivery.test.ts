import t from 'tap'
import type { Stretch } from '../../../src/upstream/http1/read-buffer.ts'
import { Delivery } from '../../../src/upstream/http1/delivery.ts'

function setUp() {
  const events: string[] = []
  const waiting: Stretch[] = []
  const state = { isComplete: false, now: 0 }
  const readBuffer = { isEmpty: () => waiting.length === 0, next: () => waiting.shift() }
  const delivery = new Delivery(readBuffer, {
    isComplete: () => state.isComplete,
    pause: () => void events.push('pause'),
    resume: () => void events.push('resume'),
    onReleased: ({ bytes }, ms) => void events.push(`released ${String(bytes)} ${ms}`),
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
  return { delivery, read, told, state }
}

await t.test('a sink that releases at once never pauses upstream', async (test) => {
  const { delivery, read, told, state } = setUp()
  read('a')
  test.same([delivery.isPaused, told()], [true, []])
  delivery.start((_chunk, written) => written())
  test.same([delivery.isPaused, told()], [false, ['released a 0', 'resume']])
  read('b')
  await Promise.resolve()
  test.same(told(), ['released b 0'])
  state.isComplete = true
  read('c')
  test.equal(told().pop(), 'delivered')
})

await t.test('a slow sink pauses upstream, and gets one chunk at a time', async (test) => {
  const { delivery, read, told, state } = setUp()
  const out: Array<() => void> = []
  delivery.start((_chunk, written) => void out.push(written))
  test.same(told(), ['resume'])
  read('a')
  test.same(told(), [])
  await Promise.resolve()
  test.same([delivery.isPaused, told()], [true, ['pause']])
  read('b')
  test.equal(out.length, 1)
  state.now = 7
  out[0]?.()
  out[0]?.()
  test.same([delivery.isPaused, told(), out.length], [true, ['released a 7'], 2])
  out[1]?.()
  test.same([delivery.isPaused, told()], [false, ['released b 7', 'resume']])
})

await t.test(
  'upstream is not paused after a chunk was released, after the last chunk, or after the end',
  async (test) => {
    for (const change of ['written', 'complete', 'stopped']) {
      const { delivery, read, told, state } = setUp()
      let write = (): void => undefined
      delivery.start((_chunk, written) => {
        write = written
      })
      read('a')
      told()
      if (change === 'written') write()
      else if (change === 'complete') state.isComplete = true
      else delivery.stop()
      await Promise.resolve()
      test.notOk(told().includes('pause'), change)
    }
  },
)

await t.test('an error of the sink is reported, and after a stop nothing is delivered', (test) => {
  const { delivery, read, told } = setUp()
  delivery.start(() => {
    throw new Error('mine')
  })
  read('a')
  test.same(told(), ['resume', 'thrown Error: mine'])
  delivery.stop()
  read('b')
  test.same(told(), [])
  test.end()
})
