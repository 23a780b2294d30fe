import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { unsupported } from '../src/errors.ts'
import { answerRaw, answerUnreadable } from '../src/unreadable.ts'

const failure = (code?: string) => Object.assign(new Error('x'), code === undefined ? {} : { code })

await t.test('trap 26: what cannot be read is answered in OCI JSON', async (t) => {
  const rows = [
    [undefined, 'HTTP/1.1 400 Bad Request', 'the request is not valid HTTP/1.1'],
    ['HPE_INVALID_METHOD', 'HTTP/1.1 400 Bad Request', 'the request is not valid HTTP/1.1'],
    ['HPE_HEADER_OVERFLOW', 'HTTP/1.1 400 Bad Request', 'the head of the request is larger than 64 KiB'],
    ['ERR_HTTP_REQUEST_TIMEOUT', 'HTTP/1.1 408 Request Timeout', 'the request took too long to arrive'],
  ] as const
  for (const [code, statusLine, message] of rows) {
    const socket = new PassThrough()
    const answered = answerUnreadable(failure(code), socket)
    const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
    const fields = head.split('\r\n')
    t.equal(fields[0], statusLine)
    t.ok(fields.includes('content-type: application/json'))
    t.ok(fields.includes(`content-length: ${body.length}`))
    t.ok(fields.includes('connection: close'))
    t.ok(fields.includes(`x-request-id: ${answered?.requestId}`))
    t.same(JSON.parse(body), { errors: [{ code: 'UNSUPPORTED', message }] })
  }
})

await t.test('who has left is not answered', async (t) => {
  const reset = new PassThrough()
  t.equal(answerUnreadable(failure('ECONNRESET'), reset), undefined)
  t.ok(reset.destroyed)
  const ended = new PassThrough()
  ended.end()
  t.equal(answerUnreadable(failure(), ended), undefined)
})

await t.test('a socket that breaks while it is answered is nobody’s trouble', async (t) => {
  const socket = new PassThrough()
  answerRaw(socket, unsupported(405, 'no'))
  socket.destroy(new Error('gone'))
  await new Promise((resolve) => socket.once('close', resolve))
  t.pass()
})
