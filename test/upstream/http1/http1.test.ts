import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { lookup } from 'node:dns'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { publicLookup } from '../../../src/upstream/client/redirect.ts'
import { UnsupportedResponse } from '../../../src/upstream/http1/response-head.ts'
import { selfSigned } from '../../support/tls.ts'
import { failure, told, until } from '../upstream.ts'
import { ok, patient, scripted, streamFor } from './scripted.ts'
import type { Body } from '../../../src/oci/image-source.ts'

const text = async (body: Body): Promise<string> => {
  const parts: Buffer[] = []
  await body.pipeTo((chunk, written) => {
    parts.push(Buffer.from(chunk))
    written()
  })
  return Buffer.concat(parts).toString()
}

await t.test('one connection serves one request after another', async (test) => {
  const server = await scripted(test, (socket, _request, nth) => void socket.write(ok(`hello ${nth}`)))
  const { send } = streamFor(test)
  for (const expected of ['hello 0', 'hello 1', 'hello 2']) {
    const answer = await send(server.url, { headers: { accept: 'a' } })
    test.equal(answer.statusCode, 200)
    test.equal(answer.headers['content-length'], '7')
    test.equal(await text(answer.body), expected)
  }
  test.equal(server.sockets.length, 1)
  test.match(server.requests[0], /^GET \/a\?b=c HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\naccept: a\r\n\r\n$/)
})

await t.test('a response cut at every byte', async (test) => {
  const answer = ok('hello')
  const server = await scripted(test, (socket, _request, nth) => {
    socket.setNoDelay()
    socket.write(answer.slice(0, nth + 1))
    setImmediate(() => socket.write(answer.slice(nth + 1)))
  })
  const { send } = streamFor(test)
  for (let cut = 1; cut < answer.length; cut++)
    test.equal(await text((await send(server.url, { headers: {} })).body), 'hello')
  test.equal(server.sockets.length, 1)
})

await t.test('attack: bytes after a response belong to no request', async (test) => {
  const server = await scripted(test, (socket) => void socket.write(ok('hello') + ok('forged')))
  const { send } = streamFor(test)
  for (let nth = 1; nth <= 3; nth++) {
    test.equal(await text((await send(server.url, { headers: {} })).body), 'hello')
    test.equal(server.sockets.length, nth)
  }
})

await t.test('attack: bytes that come while no request is sent belong to no request', async (test) => {
  const server = await scripted(test, (socket, _request, nth) => void socket.write(ok(`hello ${nth}`)))
  const { send } = streamFor(test)
  test.equal(await text((await send(server.url, { headers: {} })).body), 'hello 0')
  server.sockets[0]?.write(ok('forged'))
  await until(() => server.sockets[0]?.closed === true)
  test.equal(await text((await send(server.url, { headers: {} })).body), 'hello 1')
  test.equal(server.sockets.length, 2)
})

await t.test('an unsupported response costs its connection and nothing else', async (test) => {
  const server = await scripted(test, (socket, _request, nth) => {
    socket.write(nth === 0 ? 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' : ok('hello'))
  })
  const { send } = streamFor(test)
  await test.rejects(send(server.url, { headers: {} }), UnsupportedResponse)
  test.equal(await text((await send(server.url, { headers: {} })).body), 'hello')
  test.equal(server.sockets.length, 2)
})

await t.test('a connection that upstream closes is not used again', async (test) => {
  const server = await scripted(test, (socket) => void socket.end(ok('hello', 'Connection: close\r\n')))
  const { send } = streamFor(test)
  test.equal(await text((await send(server.url, { headers: {} })).body), 'hello')
  test.equal(await text((await send(server.url, { headers: {} })).body), 'hello')
  test.equal(server.sockets.length, 2)
})

await t.test('a request is sent again once if an idle connection was lost', async (test) => {
  const server = await scripted(test, (socket, _request, nth) => {
    if (nth === 1) socket.resetAndDestroy()
    else socket.write(ok(`hello ${nth}`))
  })
  const { send } = streamFor(test)
  test.equal(await text((await send(server.url, { headers: {} })).body), 'hello 0')
  test.equal(await text((await send(server.url, { headers: {} })).body), 'hello 2')
  test.equal(server.requests.length, 3)
})

await t.test('a request is not sent again if a fresh connection is lost', async (test) => {
  const server = await scripted(test, (socket) => void socket.destroy())
  test.equal(told(await failure(streamFor(test).send(server.url, { headers: {} }))), '503 UNAVAILABLE 5')
  test.equal(server.requests.length, 1)
})

await t.test('a head that never comes, or never ends, times out', async (test) => {
  for (const start of ['', 'HTTP/1.1 200']) {
    const server = await scripted(test, (socket) => void socket.write(start))
    const { send } = streamFor(test, { timeouts: { ...patient, head: 30 } })
    test.equal(told(await failure(send(server.url, { headers: {} }))), '504 UNAVAILABLE 5')
    await until(() => server.sockets[0]?.closed === true)
  }
})

const broken: ReadonlyArray<
  [string, string, number, (destroy: { reset: () => void; end: () => void }) => void]
> = [
  ['reset', '503 UNAVAILABLE 5', 20_000, ({ reset }) => reset()],
  ['ended early', '503 UNAVAILABLE 5', 20_000, ({ end }) => end()],
  ['silent', '504 UNAVAILABLE 5', 30, () => undefined],
]
for (const [what, expected, bodyMs, breaking] of broken)
  await t.test(`a body that is ${what}`, async (test) => {
    const server = await scripted(test, (socket) => {
      socket.write(ok('hello').slice(0, -1), () => {
        breaking({ reset: () => void socket.resetAndDestroy(), end: () => void socket.end() })
      })
    })
    const { send } = streamFor(test, { timeouts: { ...patient, body: bodyMs } })
    const outcome = await send(server.url, { headers: {} }).then(
      ({ body }) => failure(text(body)),
      (error) => error,
    )
    test.equal(told(outcome), expected)
    await until(() => server.sockets[0]?.closed === true)
  })

await t.test('upstream is not read while a chunk is not released, however long that takes', async (test) => {
  const server = await scripted(test, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n`)
    const chunk = Buffer.alloc(1024 * 1024)
    const more = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    }
    socket.on('drain', more)
    more()
  })
  const { send } = streamFor(test, { timeouts: { ...patient, body: 50 } })
  const abort = new AbortController()
  const { body } = await send(server.url, { headers: {}, signal: abort.signal })
  let chunks = 0
  const delivered = failure(body.pipeTo(() => void chunks++))
  await until(() => chunks > 0)
  let before = -1
  const sent = (): number => server.sockets[0]?.bytesWritten ?? 0
  while (before !== sent()) {
    before = sent()
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  test.equal(chunks, 1)
  test.ok(before < 32 * 1024 * 1024, 'what two kernels hold')
  abort.abort()
  test.equal(told(await delivered), '503 UNAVAILABLE 5')
  await until(() => server.sockets[0]?.closed === true)
})

for (const scheme of ['http', 'https'])
  await t.test(
    `every byte arrives in order over ${scheme}, however late chunks are released`,
    async (test) => {
      const tls = scheme === 'https' ? selfSigned() : undefined
      const blob = randomBytes(50 * 1024 * 1024)
      const server = await scripted(
        test,
        (socket) => {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${blob.length}\r\n\r\n`)
          socket.write(blob)
        },
        tls,
      )
      const { send } = streamFor(test, tls === undefined ? {} : { ca: String(tls.cert) })
      const hashes = [0, 1, 2].map(async (nth) => {
        const { body } = await send(server.url, { headers: {} })
        const hash = createHash('sha256')
        let count = 0
        await body.pipeTo((chunk, written) => {
          // Read at the last moment: memory that was written over meanwhile shows.
          const take = (): void => {
            hash.update(chunk)
            written()
            written()
          }
          const step = (count++ + nth) % 4
          if (step === 0) take()
          else if (step === 1) process.nextTick(take)
          else if (step === 2) setImmediate(take)
          else setTimeout(take, 1)
        })
        await new Promise((resolve) => setTimeout(resolve, 20))
        return hash.digest('hex')
      })
      const expected = createHash('sha256').update(blob).digest('hex')
      test.same(await Promise.all(hashes), [expected, expected, expected])
      test.equal(server.sockets.length, 2)
    },
  )

await t.test('an error of the sink is thrown as it is, and closes the connection', async (test) => {
  const server = await scripted(test, (socket) => void socket.write(ok('x'.repeat(10)).slice(0, -1)))
  const { body } = await streamFor(test).send(server.url, { headers: {} })
  const thrown = new Error('mine')
  await test.rejects(
    body.pipeTo(() => {
      throw thrown
    }),
    thrown,
  )
  await until(() => server.sockets[0]?.closed === true)
})

await t.test('an unwanted body is read if it is short, or else its connection is closed', async (test) => {
  const server = await scripted(test, (socket, _request, nth) => {
    if (nth < 2) socket.write(ok('x'.repeat(20_000)))
    else if (nth === 2) socket.write(ok('x'.repeat(20_000)).slice(0, -1))
    else socket.write(ok('x'.repeat(100_000)))
  })
  const { send } = streamFor(test)
  for (const expected of [1, 1, 1, 2]) {
    const { body } = await send(server.url, { headers: {} })
    await body.discard()
    await body.discard()
    test.equal(server.sockets.length, expected)
  }
  await until(() => server.sockets.every(({ closed }) => closed))
})

await t.test('an abort at any stage leaves no connection open', async (test) => {
  const server = await scripted(test, (socket, request) => {
    if (!request.includes('silent')) socket.write(ok('hello').slice(0, -1))
  })
  const { send } = streamFor(test, { maxConnections: 1 })
  const aborted = new AbortController()
  aborted.abort()
  test.equal(
    told(await failure(send(server.url, { headers: {}, signal: aborted.signal }))),
    '503 UNAVAILABLE 5',
  )
  test.equal(server.sockets.length, 0)

  const early = new AbortController()
  const connecting = failure(send(server.url, { headers: {}, signal: early.signal }))
  await new Promise((resolve) => setImmediate(resolve))
  early.abort()
  test.equal(told(await connecting), '503 UNAVAILABLE 5')

  const head = new AbortController()
  const waiting = failure(send(new URL('/silent', server.url), { headers: {}, signal: head.signal }))
  await until(() => server.requests.some((request) => request.includes('silent')))
  const queued = failure(send(server.url, { headers: {}, signal: head.signal }))
  head.abort()
  test.same([told(await waiting), told(await queued)], ['503 UNAVAILABLE 5', '503 UNAVAILABLE 5'])

  const late = new AbortController()
  const { body } = await send(server.url, { headers: {}, signal: late.signal })
  late.abort(new DOMException('late', 'TimeoutError'))
  test.equal(told(await failure(text(body))), '504 UNAVAILABLE 5')
  await until(() => server.sockets.every(({ closed }) => closed))
})

await t.test('TLS is verified', async (test) => {
  const tls = selfSigned()
  const server = await scripted(test, (socket) => void socket.write(ok('hello')), tls)
  test.equal(told(await failure(streamFor(test).send(server.url, { headers: {} }))), '503 UNAVAILABLE 5')
  const other = new URL(`https://127.0.0.1:${server.url.port}/`)
  const { send } = streamFor(test, { ca: String(tls.cert) })
  test.equal(told(await failure(send(other, { headers: {} }))), '503 UNAVAILABLE 5')
  test.equal(server.requests.length, 0)
  test.equal(await text((await send(server.url, { headers: {} })).body), 'hello')
})

await t.test('the client does not connect to an address that the lookup refuses', async (test) => {
  const server = await scripted(test, (socket) => void socket.write(ok('hello')))
  const url = new URL(`http://localhost:${server.url.port}/`)
  const { send } = streamFor(test, { lookupOf: () => publicLookup(() => false, lookup) as typeof lookup })
  test.match((await failure(send(url, { headers: {} }))).message, /redirects where the proxy does not follow/)
  test.equal(server.sockets.length, 0)
})

await t.test('a request with an invalid field is not sent', async (test) => {
  const server = await scripted(test, () => undefined)
  const { send } = streamFor(test)
  const error = await failure(send(server.url, { headers: { range: 'a\r\nhost: b' } }))
  test.equal(told(error), '503 UNAVAILABLE 5')
  test.equal(server.sockets.length, 0)
})

await t.test('a body is passed on to a client as the proxy does it', async (test) => {
  const blob = randomBytes(5_000_000)
  const server = await scripted(test, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${blob.length}\r\n\r\n`)
    socket.write(blob)
  })
  const { send, close } = streamFor(test)
  const proxy = createServer((_request, response) => {
    void (async () => {
      const { body, headers } = await send(server.url, { headers: {} })
      response.writeHead(200, { 'content-length': String(headers['content-length']) })
      await body.pipeTo((chunk, written) => void response.write(chunk, written))
      response.end()
    })()
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  test.teardown(() => proxy.close().closeAllConnections())
  const { port } = proxy.address() as AddressInfo
  for (let nth = 0; nth < 3; nth++) {
    const response = await fetch(`http://127.0.0.1:${port}/`)
    test.ok(blob.equals(Buffer.from(await response.arrayBuffer())))
  }
  test.equal(server.sockets.length, 1)
  await close()
  test.equal(told(await failure(send(server.url, { headers: {} }))), '503 UNAVAILABLE 5')
  await until(() => server.sockets.every(({ closed }) => closed))
})

await t.test('attack: redirects to ever new origins do not fill the heap', async (test) => {
  const server = await scripted(test, (socket) => void socket.end(ok('hello', 'Connection: close\r\n')))
  const asked: string[] = []
  const { send } = streamFor(test, {
    lookupOf: ({ host }) => {
      asked.push(host)
      return lookup
    },
  })
  const sendTo = async (nth: number): Promise<void> => {
    const url = new URL(`http://127.0.0.${nth}:${server.url.port}/`)
    await send(url, { headers: {} }).then(
      ({ body }) => text(body),
      () => undefined,
    )
  }
  for (let nth = 1; nth <= 16; nth++) await sendTo(nth)
  await sendTo(1)
  test.equal(asked.length, 16, 'known origins are kept')
  // An origin with an open connection is not forgotten, and the client closes its side of a connection late: so this tries again and again.
  for (let nth = 17; asked.lastIndexOf(`${asked[0]}`) === 0; nth++) {
    await until(() => server.sockets.every(({ closed }) => closed))
    await sendTo(nth)
    await sendTo(1)
  }
  test.equal(asked.at(-1), asked[0], 'the oldest origins are forgotten')
})
