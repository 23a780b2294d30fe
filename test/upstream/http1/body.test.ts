import t from 'tap'
import { createBufferPool } from '../../../src/upstream/http1/buffer-pool.ts'
import { createStreamedBody } from '../../../src/upstream/http1/body.ts'
import { failure, told } from '../upstream.ts'

function bodyOf(contentLength: number, signal?: AbortSignal) {
  const events: string[] = []
  const streamed = createStreamedBody({
    bufferPool: createBufferPool(),
    contentLength,
    signal,
    now: () => 0,
    connection: {
      pause: () => void events.push('pause'),
      resume: () => void events.push('resume'),
      done: (isClean) => void events.push(isClean ? 'done' : 'done, with more behind it'),
      close: () => void events.push('close'),
    },
  })
  const read = (text: string): boolean => streamed.receiver.received(streamed.receiver.room().write(text))
  return { ...streamed, read, events }
}

await t.test('whole with its head', async (test) => {
  for (const more of ['', 'forged']) {
    const { body, begin, events } = bodyOf(5)
    test.equal(begin(Buffer.from(`hello${more}`)), true)
    const chunks: string[] = []
    await body.pipeTo((chunk) => void chunks.push(String(chunk)))
    test.same([chunks, events], [['hello'], [more === '' ? 'done' : 'done, with more behind it']])
  }
})

await t.test('no bytes at all', async (test) => {
  const { body, begin, events } = bodyOf(0)
  begin(Buffer.alloc(0))
  await body.pipeTo(() => test.fail('no chunk'))
  test.same(events, ['done'])
})

await t.test('read on once it is wanted; what comes together is handed over together', async (test) => {
  const { body, begin, read, events } = bodyOf(9)
  test.equal(begin(Buffer.from('a')), false)
  test.equal(read('b'), false, 'TLS delivers on after it was stopped')
  const chunks: string[] = []
  const delivered = body.pipeTo((chunk, written) => {
    chunks.push(String(chunk))
    written()
  })
  test.same([chunks, events], [['ab'], ['resume']])
  test.equal(read('c'), true)
  read('d')
  await new Promise((resolve) => setTimeout(resolve, 10))
  test.same(chunks, ['ab', 'cd'])
  read('efghi and more')
  await delivered
  test.same(
    [chunks, events],
    [
      ['ab', 'cd', 'efghi'],
      ['resume', 'done, with more behind it'],
    ],
  )
})

await t.test('the beginning waits for nothing', async (test) => {
  const { body, begin, read } = bodyOf(3)
  begin(Buffer.alloc(0))
  const chunks: string[] = []
  const delivered = body.pipeTo((chunk, written) => {
    chunks.push(String(chunk))
    written()
  })
  read('a')
  test.same(chunks, ['a'])
  read('b')
  test.same(chunks, ['a'])
  read('c')
  await delivered
  test.same(chunks, ['a', 'bc'])
})

await t.test('broken, silent, aborted', async (test) => {
  const abort = new AbortController()
  const [lost, silent, aborted] = [bodyOf(5), bodyOf(5), bodyOf(5, abort.signal)]
  silent.receiver.stalled()
  test.same(silent.events, [], 'nobody reads yet')
  lost.receiver.lost(new Error('reset'))
  abort.abort()
  const delivered = silent.body.pipeTo(() => undefined)
  silent.receiver.stalled()
  silent.receiver.lost(new Error('closed'))
  test.equal(told(await failure(delivered)), '504 UNAVAILABLE 5')
  for (const { body } of [lost, aborted])
    test.equal(told(await failure(body.pipeTo(() => test.fail('no chunk')))), '503 UNAVAILABLE 5')
  test.same([lost.events, silent.events, aborted.events], [['close'], ['resume', 'close'], ['close']])
})

await t.test('broken before anybody took it: no chunk of it is handed over', async (test) => {
  const { body, begin, receiver, events } = bodyOf(5)
  begin(Buffer.from('h'))
  receiver.lost(new Error('reset'))
  test.equal(told(await failure(body.pipeTo(() => test.fail('no chunk')))), '503 UNAVAILABLE 5')
  test.same(events, ['close'])
})

await t.test('an error of the taker', async (test) => {
  const { body, begin, events } = bodyOf(5)
  begin(Buffer.from('h'))
  const thrown = new Error('mine')
  await test.rejects(
    body.pipeTo(() => {
      throw thrown
    }),
    thrown,
  )
  test.same(events, ['close'])
})

await t.test('not wanted: little is read, much is not, nothing takes long', async (test) => {
  const little = bodyOf(65_536)
  little.begin(Buffer.alloc(0))
  const discarded = little.body.discard()
  for (let bytes = 0; bytes < 65_536; bytes += 8192) little.read('x'.repeat(8192))
  await discarded
  const much = bodyOf(65_537)
  await much.body.discard()
  const whole = bodyOf(5)
  whole.begin(Buffer.from('hello'))
  await whole.body.discard()
  const slow = bodyOf(5)
  await slow.body.discard()
  test.same(little.events, ['resume', 'done'])
  test.same([much.events, whole.events, slow.events], [['close'], ['done'], ['resume', 'close']])
})
