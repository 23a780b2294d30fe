import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { createAgents } from '../../../src/upstream/client/agents.ts'
import {
  createRoundTrip,
  type RoundTripRequest,
  type RoundTripOptions,
} from '../../../src/upstream/client/round-trip.ts'
import { createInterimClient } from '../../../src/upstream/client/interim-responses.ts'
import { UnsupportedResponse } from '../../../src/upstream/http1/response-head.ts'
import { createHttp1 } from '../../../src/upstream/http1/http1.ts'
import { always, bytesOf, failure, serverFor, told } from '../upstream.ts'

const timeouts = { connect: 1000, head: 1000, body: 1000 }

const sendFor = (test: Test, origin: string, more: Partial<RoundTripOptions> = {}) => {
  const options = { origin: new URL(origin), maxConnections: 4, timeouts }
  const agents = createAgents(options)
  const http1 = createHttp1({ ...options, lookupOf: agents.lookupOf })
  const interim = createInterimClient({ ...options, lookupOf: agents.lookupOf })
  test.teardown(async () => {
    interim.close()
    await Promise.all([agents.close(), http1.close()])
  })
  const seen = { streamed: 0, plain: 0, observed: [] as string[] }
  const send = createRoundTrip({
    agents,
    http1: {
      send: async (url, request) => {
        seen.streamed++
        return await http1.send(url, request)
      },
    },
    interim: {
      send: async (url, request) => {
        seen.plain++
        return await interim.send(url, request)
      },
    },
    observe: ({ kind, status }) => void seen.observed.push(`${kind} ${status}`),
    ...more,
  })
  const { signal } = new AbortController()
  const get = async (request: Partial<RoundTripRequest> = {}) =>
    await send(new URL('/a?b=c', origin), { method: 'GET', headers: {}, kind: 'blob', signal, ...request })
  return { get, seen }
}

await t.test('each request names the program', async (test) => {
  const { url, requests } = await serverFor(test, always(200, { 'content-length': '4' }, 'blob'))
  const { get } = sendFor(test, url, { userAgent: 'quay-proxy/0.0.0' })
  for (const kind of ['blob', 'manifest', 'robot'] as const) await bytesOf((await get({ kind })).body)
  test.strictSame(
    requests.map(({ headers }) => headers['user-agent']),
    Array.from({ length: 3 }, () => 'quay-proxy/0.0.0'),
  )
})

await t.test('a blob goes through http1, everything else through undici', async (test) => {
  const { url, requests } = await serverFor(test, always(200, { 'content-length': '4' }, 'blob'))
  const { get, seen } = sendFor(test, url)
  const { statusCode, headers, body } = await get({ headers: { range: 'bytes=0-3' } })
  test.equal(statusCode, 200)
  test.equal(headers['content-length'], '4')
  test.equal(String(await bytesOf(body)), 'blob')
  test.equal(seen.streamed, 1)
  const head = await get({ method: 'HEAD' })
  await head.body.discard()
  for (const kind of ['manifest', 'tags', 'referrers', 'robot'] as const)
    test.equal(String(await bytesOf((await get({ kind })).body)), 'blob', kind)
  test.equal(seen.streamed, 1)
  test.strictSame(
    requests.map(({ url: path, headers: fields }) => [path, fields.range]),
    [['/a?b=c', 'bytes=0-3'], ...Array.from({ length: 5 }, () => ['/a?b=c', undefined])],
  )
  test.strictSame(seen.observed.slice(0, 3), ['blob 200', 'blob 200', 'manifest 200'])
})

await t.test(
  'an unsupported response is requested again through undici, and at once from then on',
  async (test) => {
    let time = 1
    const { url, requests } = await serverFor(test, (_request, response) => {
      response.writeHead(200).write('in ')
      response.end('chunks')
    })
    const { get, seen } = sendFor(test, url, { now: () => time })
    for (let index = 0; index < 3; index++) test.equal(String(await bytesOf((await get()).body)), 'in chunks')
    test.strictSame([seen.streamed, requests.length], [1, 4])
    test.strictSame(seen.observed, ['blob 200', 'blob 200', 'blob 200'], 'an answer that nobody used is none')
    time = 60_002
    await bytesOf((await get()).body)
    test.equal(seen.streamed, 2, 'it may have changed')
  },
)

await t.test('attack: a refusal in chunks does not make blobs expensive', async (test) => {
  const { url, requests } = await serverFor(test, ({ headers: { range } }, response) => {
    if (range === undefined) return void response.writeHead(200, { 'content-length': '4' }).end('blob')
    response.writeHead(range === 'bytes=9-' ? 416 : 206).write('in ')
    return void response.end('chunks')
  })
  const { get, seen } = sendFor(test, url)
  const refused = await get({ headers: { range: 'bytes=9-' } })
  test.equal(refused.statusCode, 416)
  await refused.body.discard()
  test.equal(String(await bytesOf((await get()).body)), 'blob')
  test.strictSame([seen.streamed, requests.length], [2, 3])
  for (let index = 0; index < 2; index++) await bytesOf((await get({ headers: { range: 'bytes=0-' } })).body)
  test.strictSame([seen.streamed, requests.length], [3, 6], 'a blob in chunks does')
})

await t.test('an error in chunks whose body is not wanted is not requested again', async (test) => {
  const { url, requests } = await serverFor(test, (_request, response) => {
    response.writeHead(requests.length === 1 ? 404 : 200).write('in ')
    return void response.end('chunks')
  })
  const { get, seen } = sendFor(test, url)
  const absent = await get({ isErrorBodyUnused: true })
  test.equal(absent.statusCode, 404)
  test.equal(String(await bytesOf(absent.body)), '')
  await absent.body.discard()
  test.equal(requests.length, 1)
  test.equal(String(await bytesOf((await get({ isErrorBodyUnused: true })).body)), 'in chunks')
  test.equal(requests.length, 3)
  test.strictSame(seen.observed, ['blob 404', 'blob 200'])
})

await t.test('a failure is a transient error, by either client', async (test) => {
  const { url } = await serverFor(test, (request) => void request.socket.destroy())
  const { get, seen } = sendFor(test, url)
  test.equal(told(await failure(get())), '503 UNAVAILABLE 5')
  test.equal(told(await failure(get({ kind: 'manifest' }))), '503 UNAVAILABLE 5')
  test.strictSame(seen.observed, ['blob failed', 'manifest failed'])
  const unusual = sendFor(test, url, {
    http1: {
      send: async () => {
        throw new UnsupportedResponse('in chunks')
      },
    },
  })
  test.equal(told(await failure(unusual.get())), '503 UNAVAILABLE 5')
})

/** A server that answers each request with these bytes, and ends the connection. */
const rawServer = async (test: Test, answer: () => string): Promise<string> => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.end(answer()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

await t.test('interim responses are skipped by every client', async (test) => {
  const interims = ['', '100 Continue', '102 Processing', '103 Early Hints\r\nLink: </a>']
  const framings = {
    'a length': 'Content-Length: 4\r\n\r\nblob',
    chunks: 'Transfer-Encoding: Chunked\r\n\r\n4\r\nblob\r\n0\r\n\r\n',
    'its end': 'Connection: close\r\n\r\nblob',
  }
  for (const first of interims)
    for (const second of interims)
      for (const [name, framing] of Object.entries(framings)) {
        const heads = [first, second].filter((interim) => interim !== '')
        const before = heads.map((interim) => `HTTP/1.1 ${interim}\r\n\r\n`).join('')
        const { get, seen } = sendFor(
          test,
          await rawServer(test, () => `${before}HTTP/1.1 200 OK\r\nETag: "a"\r\n${framing}`),
        )
        for (const kind of ['blob', 'manifest', 'tags', 'referrers', 'robot'] as const) {
          const { statusCode, headers, body } = await get({ kind })
          test.strictSame([statusCode, headers['etag']], [200, '"a"'], `${heads.join()} ${name} ${kind}`)
          test.equal(String(await bytesOf(body)), 'blob')
        }
        test.equal(seen.plain > 0, heads.includes('100 Continue'), 'a connection each for those alone')
      }
})

await t.test('a HEAD to a server that sends an unrequested 100 is answered', async (test) => {
  const { get, seen } = sendFor(
    test,
    await rawServer(test, () => 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n'),
  )
  for (let index = 0; index < 2; index++) {
    const { statusCode, headers, body } = await get({ method: 'HEAD' })
    test.strictSame([statusCode, headers['content-length']], [200, '4'])
    await body.discard()
  }
  test.equal(seen.plain, 2)
})
