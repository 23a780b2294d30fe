import t from 'tap'
import { createBufferPool } from '../../../src/upstream/http1/buffer-pool.ts'
import { StreamedBody } from '../../../src/upstream/http1/body.ts'
import { failure, told } from '../upstream.ts'

function bodyOf(contentLength: number, signal?: AbortSignal) {
  const events: string[] = []
  const body = new StreamedBody({
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
  const read = (text: string): boolean => body.received(body.room().write(text))
  return { body, read, events }
}

await t.test('a body that comes together with its head', async (test) => {
  for (const more of ['', 'forged']) {
    const { body, events } = bodyOf(5)
    test.equal(body.begin(Buffer.from(`hello${more}`)), true)
    const chunks: string[] = []
    await body.pipeTo((chunk) => void chunks.push(String(chunk)))
    test.same([chunks, events], [['hello'], [more === '' ? 'done' : 'done, with more behind it']])
  }
})

await t.test('a body without bytes', async (test) => {
  const { body, events } = bodyOf(0)
  body.begin(Buffer.alloc(0))
  await body.pipeTo(() => test.fail('no chunk'))
  test.same(events, ['done'])
})

await t.test(
  'reading goes on once a sink is there; bytes that come together are delivered together',
  async (test) => {
    const { body, read, events } = bodyOf(9)
    test.equal(body.begin(Buffer.from('a')), false)
    test.equal(read('b'), false, 'TLS delivers decrypted bytes after a pause')
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
  },
)

await t.test('the first bytes are delivered at once', async (test) => {
  const { body, read } = bodyOf(3)
  body.begin(Buffer.alloc(0))
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

await t.test('a lost connection, a silent one, an abort', async (test) => {
  const abort = new AbortController()
  const [lost, silent, aborted] = [bodyOf(5), bodyOf(5), bodyOf(5, abort.signal)]
  silent.body.stalled()
  test.same(silent.events, [], 'there is no sink yet')
  lost.body.lost(new Error('reset'))
  abort.abort()
  const delivered = silent.body.pipeTo(() => undefined)
  silent.body.stalled()
  silent.body.lost(new Error('closed'))
  test.equal(told(await failure(delivered)), '504 UNAVAILABLE 5')
  for (const { body } of [lost, aborted])
    test.equal(told(await failure(body.pipeTo(() => test.fail('no chunk')))), '503 UNAVAILABLE 5')
  test.same([lost.events, silent.events, aborted.events], [['close'], ['resume', 'close'], ['close']])
})

await t.test('a body that broke before a sink came delivers no chunk', async (test) => {
  const { body, events } = bodyOf(5)
  body.begin(Buffer.from('h'))
  body.lost(new Error('reset'))
  test.equal(told(await failure(body.pipeTo(() => test.fail('no chunk')))), '503 UNAVAILABLE 5')
  test.same(events, ['close'])
})

await t.test('an error of the sink closes the connection', async (test) => {
  const { body, events } = bodyOf(5)
  body.begin(Buffer.from('h'))
  const thrown = new Error('mine')
  await test.rejects(
    body.pipeTo(() => {
      throw thrown
    }),
    thrown,
  )
  test.same(events, ['close'])
})

await t.test('an unwanted body is read if it is short, or else its connection is closed', async (test) => {
  const little = bodyOf(65_536)
  little.body.begin(Buffer.alloc(0))
  const discarded = little.body.discard()
  for (let bytes = 0; bytes < 65_536; bytes += 8192) little.read('x'.repeat(8192))
  await discarded
  const much = bodyOf(65_537)
  await much.body.discard()
  const whole = bodyOf(5)
  whole.body.begin(Buffer.from('hello'))
  await whole.body.discard()
  const slow = bodyOf(5)
  await slow.body.discard()
  test.same(little.events, ['resume', 'done'])
  test.same([much.events, whole.events, slow.events], [['close'], ['done'], ['resume', 'close']])
})
