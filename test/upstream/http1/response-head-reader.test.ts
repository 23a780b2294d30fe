import t from 'tap'
import {
  createResponseHeadReader,
  StaleConnection,
} from '../../../src/upstream/http1/response-head-reader.ts'
import { UnsupportedResponse } from '../../../src/upstream/http1/response-head.ts'
import { until } from '../upstream.ts'
import { ok } from './scripted.ts'

function waitingFor(isReused = false, signal?: AbortSignal) {
  const memory = Buffer.alloc(4096)
  const heads: string[] = []
  const failures: unknown[] = []
  const reader = createResponseHeadReader({
    memory,
    isReused,
    signal,
    onHead: ({ statusCode }, rest) => {
      heads.push(`${statusCode} ${String(rest)}`)
      return false
    },
    onFailed: (error) => void failures.push(error),
  })
  const read = (text: string): boolean => {
    reader.room().write(text)
    return reader.received(text.length)
  }
  return { ...reader, heads, failures, read }
}

await t.test('a head is reported with the bytes after it, and nothing afterwards', async (test) => {
  const abort = new AbortController()
  const { read, heads, failures, lost, limit, stalled } = waitingFor(false, abort.signal)
  limit(20_000)
  stalled()
  test.equal(read('HTTP/1.1 200 OK\r\n'), true)
  test.equal(read('Content-Length: 2\r\n\r\nhe'), false)
  limit(1)
  lost(new Error('late'))
  abort.abort()
  test.same([heads, failures], [['200 he'], []])
})

await t.test('each end is reported once', async (test) => {
  const abort = new AbortController()
  const aborted = waitingFor(false, abort.signal)
  abort.abort('reason')
  aborted.lost(new Error('late'))
  test.same(aborted.failures, ['reason'])

  const slow = waitingFor()
  slow.limit(20_000)
  slow.limit(1)
  await until(() => slow.failures.length > 0)
  test.match(slow.failures, [{ name: 'TimeoutError' }])

  const unusual = waitingFor()
  test.equal(unusual.read('HTTP/1.0 200 OK\r\n\r\n'), false)
  test.ok(unusual.failures[0] instanceof UnsupportedResponse)
})

await t.test('only a used connection without any byte is stale', (test) => {
  const ends = [waitingFor(true), waitingFor(true), waitingFor(false)] as const
  ends[1].read(ok('').slice(0, 5))
  for (const { lost } of ends) lost(new Error('reset'))
  test.same(
    ends.map(({ failures }) => failures[0] instanceof StaleConnection),
    [true, false, false],
  )
  test.end()
})

await t.test('an error of the proxy itself is not hidden', (test) => {
  const reader = createResponseHeadReader({
    memory: Buffer.from(ok('')),
    isReused: false,
    onHead: () => {
      throw new Error('ours')
    },
    onFailed: () => undefined,
  })
  test.throws(() => reader.received(ok('').length), { message: 'ours' })
  test.end()
})
