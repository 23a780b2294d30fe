import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { addAbortSignal, PassThrough, Readable } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import { unavailable } from '../../src/oci/errors.ts'
import { blobHandler, type BlobsOptions } from '../../src/registry/blobs.ts'
import { routes } from '../../src/registry/routes.ts'
import { bareApp, bearer, digest, listen, routesOptions } from './fakes.ts'
import { until } from '../support/until.ts'

/** The registry gives each request a signal. */
type Opened = Parameters<BlobsOptions['openBlob']>[0] & { readonly signal: AbortSignal }
type Blob = Awaited<ReturnType<BlobsOptions['openBlob']>>

const serve = async (test: Test, open: (request: Opened) => Partial<Blob> | Promise<Partial<Blob>>) => {
  const opened: Opened[] = []
  const streams = { begun: 0, running: 0 }
  const app = bareApp(test)
  await app.register(
    routes,
    routesOptions({
      openBlob: async (sent) => {
        const request = sent as Opened
        opened.push(request)
        return { status: 200, headers: {}, body: undefined, ...(await open(request)) }
      },
      observeStreams: (change) => {
        streams.running += change
        if (change === 1) streams.begun++
      },
    }),
  )
  const port = await listen(test, app)
  const url = `http://127.0.0.1:${port}/v2/ocp/4.5/blobs/${digest}`
  return { url, opened, streams }
}

/** A stream as the body of a blob. */
const bodyOf = (content: Readable, signal?: AbortSignal): NonNullable<Blob['body']> => {
  content.on('error', () => undefined)
  if (signal !== undefined) addAbortSignal(signal, content)
  return {
    pipeTo: async (take) => {
      try {
        for await (const chunk of content)
          await new Promise<void>((written) => take(chunk as Buffer, written))
      } catch (error) {
        throw unavailable('it broke off', error)
      }
    },
    discard: async () => undefined,
  }
}

const start = async (url: string, headers = {}): Promise<IncomingMessage> => {
  const [response] = (await once(get(url, { headers: { ...bearer, ...headers } }), 'response')) as [
    IncomingMessage,
  ]
  return response
}

await t.test('backpressure: a client that reads nothing stops upstream', async (test) => {
  const chunks = 1000
  let handed = 0
  const { url } = await serve(test, ({ signal }) => ({
    body: {
      pipeTo: async (take) => {
        const gone = once(signal, 'abort')
        for (; handed < chunks && !signal.aborted; handed++)
          await Promise.race([new Promise<void>((written) => take(Buffer.alloc(256 * 1024), written)), gone])
      },
      discard: async () => undefined,
    },
  }))
  const response = await start(url)
  response.pause()
  let before = -1
  // Until the kernel, and what Node has at hand, are full.
  for (let same = 0; same < 5; before = handed) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    same = handed === before ? same + 1 : 0
  }
  test.ok(handed < chunks / 2, `${handed} chunks of ${chunks}`)
  response.destroy()
})

await t.test(
  'traps 34 and 38: Range is passed upstream, the head is returned unchanged with the digest',
  async (test) => {
    const { url, opened, streams } = await serve(test, () => ({
      status: 206,
      headers: { 'content-length': '4', 'content-range': 'bytes 0-3/10', 'content-type': 'a/b', etag: '"x"' },
      body: bodyOf(Readable.from([Buffer.from('four')])),
    }))
    const response = await start(url, { range: 'bytes=0-3', 'if-range': '"x"' })
    test.match(response, {
      statusCode: 206,
      headers: {
        'content-length': '4',
        'content-range': 'bytes 0-3/10',
        'content-type': 'a/b',
        'docker-content-digest': digest,
      },
    })
    test.equal(Buffer.concat((await response.toArray()) as Buffer[]).toString(), 'four')
    test.match(opened, [{ method: 'GET', digest, range: 'bytes=0-3', ifRange: '"x"', requester: 'alice' }])
    await until(() => streams.begun === 1 && streams.running === 0)
    test.equal(opened[0]?.signal.aborted, false)
  },
)

await t.test('HEAD has a head and no stream', async (test) => {
  const { url, opened, streams } = await serve(test, () => ({ headers: { 'content-length': '4' } }))
  const response = await fetch(url, { method: 'HEAD', headers: bearer })
  test.equal(response.headers.get('content-length'), '4')
  test.equal(response.headers.get('content-type'), 'application/octet-stream')
  test.match(opened, [{ method: 'HEAD' }])
  test.equal(streams.begun, 0)
})

await t.test('RFC 9110 14.2: HEAD with a Range is HEAD without it', async (test) => {
  const { url, opened } = await serve(test, () => ({ headers: { 'content-length': '4' } }))
  const headers = { ...bearer, range: 'bytes=1-2', 'if-range': '"x"' }
  const response = await fetch(url, { method: 'HEAD', headers })
  test.equal(response.status, 200)
  test.match(opened, [{ method: 'HEAD', range: undefined, ifRange: undefined }])
})

await t.test('an empty blob is a blob', async (test) => {
  const { url } = await serve(test, () => ({
    headers: { 'content-length': '0' },
    body: bodyOf(Readable.from([])),
  }))
  const response = await start(url)
  test.strictSame([response.statusCode, (await response.toArray()).length], [200, 0])
})

await t.test('trap 36: a stream that breaks off destroys the connection', async (test) => {
  const content = new PassThrough()
  const { url, streams } = await serve(test, () => ({
    headers: { 'content-length': '10' },
    body: bodyOf(content),
  }))
  content.write('begun')
  const response = await start(url)
  await once(response, 'data')
  content.destroy(new Error('cut'))
  await test.rejects(response.toArray(), { code: 'ECONNRESET' })
  await until(() => streams.running === 0)
})

await t.test(
  'a stream that breaks before its first byte is a 503, without headers of a blob',
  async (test) => {
    const content = new PassThrough()
    const { url, streams } = await serve(test, () => {
      setImmediate(() => content.destroy(new Error('cut')))
      return { headers: { 'content-length': '10', 'accept-ranges': 'bytes' }, body: bodyOf(content) }
    })
    const response = await start(url)
    test.equal(response.statusCode, 503)
    test.equal(response.headers['content-type'], 'application/json')
    test.notHas(response.headers, { 'accept-ranges': 'bytes' })
    test.equal(response.headers['docker-content-digest'], undefined)
    test.match(JSON.parse(Buffer.concat((await response.toArray()) as Buffer[]).toString()), {
      errors: [{ code: 'UNAVAILABLE' }],
    })
    test.equal(streams.begun, 0)
  },
)

await t.test('a client that disconnects ends its upstream request', async (test) => {
  const content = new PassThrough()
  const { url, streams, opened } = await serve(test, ({ signal }) => ({ body: bodyOf(content, signal) }))
  content.write('begun')
  const response = await start(url)
  await once(response, 'data')
  response.on('error', () => undefined).destroy()
  await until(() => content.closed)
  await until(() => streams.running === 0)
  test.equal(opened[0]?.signal.aborted, true)
})

await t.test('a client that disconnects during the lookup leaves no stream open', async (test) => {
  const content = new PassThrough()
  const { url, streams, opened } = await serve(test, async ({ signal }) => {
    client.destroy()
    await once(signal, 'abort')
    return { body: bodyOf(content, signal) }
  })
  const client = get(url, { headers: bearer }).on('error', () => undefined)
  await until(() => content.closed)
  test.strictSame([streams.running, opened[0]?.signal.aborted], [0, true])
})

await t.test('a blob by tag is a bug', async (test) => {
  const app = bareApp(test)
  const hook = async (request: { reference: unknown }) => void (request.reference = { kind: 'tag' })
  app.get('/', { onRequest: hook }, blobHandler(routesOptions()))
  test.equal((await app.inject('/')).statusCode, 500)
})
