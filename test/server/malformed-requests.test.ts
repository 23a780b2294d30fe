import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { unsupported } from '../../src/oci/errors.ts'
import { answerRaw, answerMalformed } from '../../src/server/malformed-requests.ts'
import { until } from '../support/until.ts'

const failure = (code?: string) => Object.assign(new Error('x'), code === undefined ? {} : { code })

await t.test('trap 26: malformed input gets an error in OCI JSON', async (t) => {
  const rows = [
    [undefined, 'HTTP/1.1 400 Bad Request', 'the request is not valid HTTP/1.1'],
    ['HPE_INVALID_METHOD', 'HTTP/1.1 400 Bad Request', 'the request is not valid HTTP/1.1'],
    [
      'HPE_HEADER_OVERFLOW',
      'HTTP/1.1 400 Bad Request',
      'the head of the request is larger than 64 KiB, or has more than 1000 fields',
    ],
    ['ERR_HTTP_REQUEST_TIMEOUT', 'HTTP/1.1 408 Request Timeout', 'the request took too long to arrive'],
  ] as const
  for (const [code, statusLine, message] of rows) {
    const socket = new PassThrough()
    const answered = answerMalformed(failure(code), socket, 1000)
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

await t.test('no response for a client that disconnected or has no TLS session', async (t) => {
  for (const code of ['ECONNRESET', 'ERR_TLS_HANDSHAKE_TIMEOUT', 'ERR_SSL_HTTP_REQUEST']) {
    const socket = new PassThrough()
    t.equal(answerMalformed(failure(code), socket, 1000), undefined)
    t.ok(socket.destroyed, code)
  }
  const gone = new PassThrough()
  gone.destroy()
  t.equal(answerMalformed(failure(), gone, 1000), undefined)
})

await t.test('after the error nothing is sent, and the client may read on', async (t) => {
  const socket = new PassThrough()
  const { requestId } = answerMalformed(failure(), socket, 1000) ?? {}
  t.equal(answerMalformed(failure(), socket, 1000), undefined)
  t.notOk(socket.destroyed)
  t.match(await text(socket), `x-request-id: ${requestId}`)
})

await t.test('a client that never closes its side is cut after a moment', async (t) => {
  const socket = new PassThrough()
  t.ok(answerRaw(socket, unsupported(405, 'no'), 5))
  t.notOk(socket.destroyed)
  await until(() => socket.destroyed)
  t.pass()
})

await t.test('attack: an error in the middle of another response, to be read as a part of it', async (t) => {
  for (const [headersSent, isAnswered] of [
    [true, false],
    [false, true],
  ]) {
    const socket = Object.assign(new PassThrough(), { _httpMessage: { headersSent } })
    t.equal(answerMalformed(failure(), socket, 1000) !== undefined, isAnswered)
    t.equal(socket.destroyed, headersSent)
    t.equal(socket.readableLength > 0, isAnswered)
    socket.destroy()
  }
})

await t.test('a socket that breaks during the error response is ignored', async (t) => {
  const socket = new PassThrough()
  answerRaw(socket, unsupported(405, 'no'), 1000)
  socket.destroy(new Error('gone'))
  await new Promise((resolve) => socket.once('close', resolve))
  t.pass()
})
