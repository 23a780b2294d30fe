import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { request } from 'undici'
import { applyFault, htmlAnswer, jsonAnswer, writeAnswer } from '../../../src/sandbox/quay/answers.ts'
import type { Answer } from '../../../src/sandbox/quay/answers.ts'
import type { Fault } from '../../../src/sandbox/quay/faults.ts'
import { ask } from './quay-client.ts'

async function serve(
  test: Test,
  answer: Answer,
  fault: Fault = {},
): Promise<{ url: string; begun: () => number; written: () => number }> {
  let [begun, written] = [0, 0]
  const server = createServer((_request, response) => {
    begun++
    void writeAnswer(response, answer, fault).then(() => written++)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    begun: () => begun,
    written: () => written,
  }
}

const body = [Buffer.alloc(300_000, 'a'), Buffer.from('tail')]

await t.test('an answer is written whole, with its length', async (test) => {
  const { url } = await serve(test, { status: 203, headers: { etag: '"x"' }, body })
  const reply = await ask(url)
  test.match(reply, { status: 203, headers: { etag: '"x"', 'content-length': '300004' } })
  test.ok(reply.body.equals(Buffer.concat(body)))
  const head = await ask(url, {}, 'HEAD')
  test.match(head, { status: 203, headers: { 'content-length': '300004' } })
  test.equal(head.body.length, 0)
})

await t.test('an answer without a body has length 0', async (test) => {
  const { url } = await serve(test, { status: 302 })
  test.equal((await ask(url)).headers['content-length'], '0')
})

await t.test('cut: N bytes, then the socket is gone', async (test) => {
  for (const cutAfterBytes of [0, 1000, 280_000]) {
    const { url } = await serve(test, { status: 200, body }, { cutAfterBytes })
    const response = await request(url)
    test.equal(response.headers['content-length'], '300004')
    let received = 0
    response.body.on('data', (chunk: Buffer) => (received += chunk.length))
    await test.rejects(once(response.body, 'end'), { code: 'UND_ERR_SOCKET' })
    test.equal(received, cutAfterBytes)
  }
})

await t.test('truncate: N bytes, then a clean end', async (test) => {
  const { url } = await serve(test, { status: 200, body }, { truncateAfterBytes: 1000 })
  const reply = await ask(url)
  test.equal(reply.headers['content-length'], undefined)
  test.equal(reply.body.length, 1000)
})

await t.test('stall: N bytes, then silence', async (test) => {
  const { url } = await serve(test, { status: 200, body }, { stallAfterBytes: 1000 })
  const response = await request(url, { bodyTimeout: 200 })
  let received = 0
  response.body.on('data', (chunk: Buffer) => (received += chunk.length))
  await test.rejects(once(response.body, 'end'), { code: 'UND_ERR_BODY_TIMEOUT' })
  test.equal(received, 1000)
})

await t.test(
  'a client that does not read holds the writer back, one that leaves lets it go',
  async (test) => {
    const large = { status: 200, body: [Buffer.alloc(64 * 1024 * 1024)] }
    const { url, begun, written } = await serve(test, large)
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    while (begun() === 0) await setTimeout(2)
    test.equal((await buffer((await request(url)).body)).length, 64 * 1024 * 1024)
    while (written() === 0) await setTimeout(2)
    test.equal(written(), 1, 'whoever reads has all of it, and the other still holds the writer back')
    socket.destroy()
    while (written() === 1) await setTimeout(2)
  },
)

await t.test('faults change the answer', async (test) => {
  const answer = jsonAnswer(200, { a: 1 }, { etag: '"x"' })
  test.equal(applyFault(answer, {}).body, answer.body)
  test.match(applyFault(answer, { headers: { ETag: '"y"' } }).headers, { etag: '"y"' })
  const limited = applyFault(answer, { status: 429, headers: { 'Retry-After': '7' } })
  test.match(limited, { status: 429, headers: { 'content-type': 'text/html', 'retry-after': '7' } })
  test.match(String(limited.body), /<h1>429 Too Many Requests<\/h1>/)
  const redirect = applyFault({ status: 200, headers: { etag: '"x"' } }, { redirectTo: 'http://127.0.0.1/x' })
  test.strictSame(redirect, { status: 302, headers: { etag: '"x"', location: 'http://127.0.0.1/x' } })
  test.match(applyFault(htmlAnswer(401), { redirectTo: 'http://127.0.0.1/x' }), { status: 401 })
})

await t.test('wrong bytes keep their length', async (test) => {
  const spoilt = Buffer.concat(applyFault({ status: 200, body }, { wrongBytes: true }).body ?? [])
  const right = Buffer.concat(body)
  test.equal(spoilt.length, right.length)
  test.equal(spoilt.filter((byte, index) => byte !== right[index]).length, 1)
  test.strictSame(applyFault({ status: 200 }, { wrongBytes: true }).body, [Buffer.alloc(0)])
})
