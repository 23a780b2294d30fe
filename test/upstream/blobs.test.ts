import { createHash } from 'node:crypto'
import { once } from 'node:events'
import t from 'tap'
import type { Test } from 'tap'
import { TransientObjectError, TransientUpstreamError } from '../../src/upstream/errors.ts'
import { createBlobs } from '../../src/upstream/blobs.ts'
import type { Digest } from '../../src/oci/reference.ts'
import type { BlobRequest, OpenBlob } from '../../src/oci/image-source.ts'
import type { Quay } from '../../src/sandbox/quay/quay.ts'
import { quayFor, smallImage } from '../sandbox/quay/quay-client.ts'
import {
  always,
  bytesOf,
  connect,
  everythingIn,
  failure,
  serverFor,
  told,
  until,
  upstreamFor,
} from './upstream.ts'

interface Stored {
  readonly quay: Quay
  readonly open: OpenBlob
  readonly digest: Digest
  readonly bytes: Buffer
}

/** A quay with a blob of more than 100 kB. */
const storedBlob = async (test: Test): Promise<Stored> => {
  const quay = await quayFor(test)
  const image = await smallImage({ platforms: ['linux/amd64'], layerBytes: 100_000 })
  quay.push(image)
  const [digest, bytes] = [...image.blobs].reduce((most, blob) =>
    blob[1].length > most[1].length ? blob : most,
  )
  test.ok(bytes.length > 100_000)
  const open = createBlobs({
    send: connect(test, quay, { timeouts: { body: 30 } }).send,
    repository: 'openshift/ci',
    delivery: 'stream',
  })
  return { quay, open, digest: digest as string as Digest, bytes }
}

const get = (digest: Digest, range?: string, ifRange?: string): BlobRequest => ({
  method: 'GET',
  digest,
  range,
  ifRange,
  requester: 'alice',
})

const anyDigest = `sha256:${'a'.repeat(64)}` as Digest

/** What an upstream without CDN answers. */
const fromServer = async (test: Test, status: number, headers: Record<string, string> = {}, body = '') => {
  const { url, requests } = await serverFor(test, (_request, response) => {
    response.writeHead(status, headers).end(body)
  })
  return {
    open: createBlobs({ send: upstreamFor(test, url).send, repository: 'openshift/ci', delivery: 'stream' }),
    requests,
  }
}

/** A blob that must have content. */
const opened = async (blob: ReturnType<OpenBlob>) => {
  const { status, headers, body } = await blob
  if (body === undefined) throw new Error('no body')
  return { status, headers, body }
}

await t.test(
  'trap 37, 38: a whole blob comes through the redirect, with the header fields of the CDN',
  async (test) => {
    const { quay, open, digest, bytes } = await storedBlob(test)
    const { status, headers, body } = await opened(open(get(digest)))
    test.equal(status, 200)
    test.match(headers, {
      'content-length': String(bytes.length),
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
      etag: /^"[0-9a-f]+"$/,
    })
    test.strictSame(await bytesOf(body), bytes)
    test.strictSame(quay.leaks, [])
  },
)

await t.test('only header fields that concern the bytes are passed on', async (test) => {
  const passed = {
    'content-length': '4',
    'content-type': 'a/b',
    'accept-ranges': 'bytes',
    etag: '"a"',
    'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT',
  }
  const { open } = await fromServer(
    test,
    200,
    { ...passed, 'set-cookie': 'a=b', 'x-amz-id': 'a', via: 'a', location: 'a', 'cache-control': 'no-store' },
    'blob',
  )
  const { headers, body } = await opened(open(get(anyDigest)))
  test.strictSame(headers, passed)
  test.equal(String(await bytesOf(body)), 'blob')
})

await t.test('trap 34: Range reaches the storage; no other field of a client does', async (test) => {
  const { quay, open, digest, bytes } = await storedBlob(test)
  const whole = await opened(open(get(digest)))
  await bytesOf(whole.body)
  const { etag = '' } = whole.headers
  test.not(etag, '')
  const before = quay.requests.length
  const partial = await opened(open(get(digest, 'bytes=10-19', etag)))
  test.equal(partial.status, 206)
  test.match(partial.headers, {
    'content-length': '10',
    'content-range': `bytes 10-19/${bytes.length}`,
    'content-type': 'application/octet-stream',
  })
  test.strictSame(await bytesOf(partial.body), bytes.subarray(10, 20))
  const asked = quay.requests.slice(before)
  const fields = ['accept-encoding', 'range', 'if-range', 'host']
  test.strictSame(
    asked.map(({ origin, headers }) => [origin, new Set(Object.keys(headers))]),
    [
      ['quay', new Set([...fields, 'authorization'])],
      ['cdn', new Set(fields)],
    ],
  )
  for (const { headers } of asked)
    test.match(headers, { 'accept-encoding': 'identity', range: 'bytes=10-19', 'if-range': etag })
})

await t.test(
  'trap 34: a range beyond the end, several ranges, and one of another representation',
  async (test) => {
    const { open, digest, bytes } = await storedBlob(test)
    const { length } = bytes
    const overrun = await opened(open(get(digest, `bytes=${length - 5}-${length}`)))
    test.equal(overrun.headers['content-range'], `bytes ${length - 5}-${length - 1}/${length}`)
    test.strictSame(await bytesOf(overrun.body), bytes.subarray(-5))
    const many = await opened(open(get(digest, 'bytes=0-1,4-5')))
    test.equal(many.status, 206)
    test.match(many.headers['content-type'], /^multipart\/byteranges; boundary=/)
    test.equal(many.headers['content-range'], undefined)
    await bytesOf(many.body)
    const other = await opened(open(get(digest, 'bytes=0-1', '"other"')))
    test.equal(other.status, 200)
    test.strictSame(await bytesOf(other.body), bytes)
  },
)

await t.test('a 416 has the size', async (test) => {
  const { open, digest, bytes } = await storedBlob(test)
  const error = await failure(open(get(digest, 'bytes=999999-')))
  test.equal(told(error), '416 SIZE_INVALID')
  test.strictSame(error.headers, { 'content-range': `bytes */${bytes.length}` })
  const bare = await fromServer(test, 416)
  test.strictSame((await failure(bare.open(get(anyDigest, 'bytes=9-')))).headers, {})
})

await t.test('HEAD has neither a redirect nor content', async (test) => {
  const { quay, open, digest, bytes } = await storedBlob(test)
  const { status, headers, body } = await open({ ...get(digest), method: 'HEAD' })
  test.equal(status, 200)
  test.equal(headers['content-length'], String(bytes.length))
  test.equal(body, undefined)
  test.ok(quay.requests.every(({ origin }) => origin === 'quay'))
})

await t.test('a missing blob is BLOB_UNKNOWN', async (test) => {
  const { quay, open, digest } = await storedBlob(test)
  for (const method of ['GET', 'HEAD'] as const) {
    const error = await failure(open({ ...get(anyDigest), method }))
    test.equal(told(error), '404 BLOB_UNKNOWN')
    test.match(error.message, anyDigest)
  }
  quay.fault({ origin: 'cdn', path: /./, status: 404 })
  test.equal(told(await failure(open(get(digest)))), '404 BLOB_UNKNOWN')
})

await t.test('trap 37: if the CDN refuses the signed URL, the error does not hold it', async (test) => {
  const { quay, open, digest, bytes } = await storedBlob(test)
  quay.fault({ origin: 'cdn', path: /./, status: 403 })
  const error = await failure(open(get(digest)))
  test.equal(told(error), '503 UNAVAILABLE 5')
  test.match(error.cause, new Error('its storage answered 403'))
  test.notMatch(everythingIn(error), /Signature|username|nginx/)
  test.strictSame(await bytesOf((await opened(open(get(digest)))).body), bytes, 'resolved anew')
})

await t.test('a status other than 200 and 206 is an error', async (test) => {
  for (const status of [204, 304, 400, 405]) {
    const { open } = await fromServer(test, status)
    test.equal(told(await failure(open(get(anyDigest)))), '503 UNAVAILABLE 5', String(status))
  }
})

await t.test('trap 23: an unrequested encoding is a transient error', async (test) => {
  const { open, requests } = await fromServer(test, 200, { 'content-encoding': 'gzip' }, 'blob')
  const error = await failure(open(get(anyDigest)))
  test.equal(told(error), '503 UNAVAILABLE 5')
  test.match(error.message, /another form/)
  test.equal(requests[0]?.headers['accept-encoding'], 'identity')
})

await t.test('trap 23: so is an unrequested transfer encoding', async (test) => {
  const { url } = await serverFor(test, ({ socket }) => {
    socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\nblob')
  })
  const open = createBlobs({
    send: upstreamFor(test, url).send,
    repository: 'openshift/ci',
    delivery: 'stream',
  })
  const error = await failure(open(get(anyDigest)))
  test.equal(told(error), '503 UNAVAILABLE 5')
})

await t.test('trap 36: content that breaks off is an error, and never a clean end', async (test) => {
  const { quay, open, digest } = await storedBlob(test)
  const faults = [{ cutAfterBytes: 50_000 }, { cutAfterBytes: 0 }, { stallAfterBytes: 50_000 }]
  for (const fault of faults) {
    quay.fault({ origin: 'cdn', path: /./, ...fault })
    const { headers, body } = await opened(open(get(digest)))
    test.ok(Number(headers['content-length']) > 100_000, 'the length was promised')
    let received = 0
    const error = await failure(
      body.pipeTo((chunk, written) => {
        received += chunk.length
        written()
      }),
    )
    test.match(told(error), 'stallAfterBytes' in fault ? '504 UNAVAILABLE 5' : '503 UNAVAILABLE 5')
    test.ok(received <= 50_000)
    test.notMatch(everythingIn(error), /Signature|username=/)
  }
})

await t.test('trap 36: so is content that breaks off before it is read', async (test) => {
  const { quay, open, digest } = await storedBlob(test)
  quay.fault({ origin: 'cdn', path: /./, cutAfterBytes: 0 })
  const { body } = await opened(open(get(digest)))
  await new Promise((resolve) => setTimeout(resolve, 20))
  await test.rejects(bytesOf(body), 'and nothing is thrown where nobody could catch it')
})

await t.test('when the client leaves, the connection to the CDN is closed', async (test) => {
  const { quay, open, digest } = await storedBlob(test)
  let closed: Promise<unknown> | undefined
  quay.fault({
    origin: 'cdn',
    path: /./,
    raw: (_request, response) => {
      closed = once(response, 'close')
      response.writeHead(200, { 'content-length': '1000' }).write('x')
    },
  })
  const controller = new AbortController()
  const { body } = await opened(open({ ...get(digest), signal: controller.signal }))
  const consumed = failure(bytesOf(body))
  controller.abort()
  await consumed
  await closed
  test.ok(closed)
})

await t.test('a client that leaves before the head ends the request', async (test) => {
  const { quay, open, digest } = await storedBlob(test)
  let closed: Promise<unknown> | undefined
  quay.fault({
    origin: 'cdn',
    path: /./,
    raw: (_request, response) => void (closed = once(response, 'close')),
  })
  const controller = new AbortController()
  const failed = failure(open({ ...get(digest), signal: controller.signal }))
  await until(() => closed !== undefined)
  controller.abort()
  test.equal(told(await failed), '503 UNAVAILABLE 5')
  await closed
})

await t.test('a slow reader pauses upstream', async (test) => {
  let written = 0
  const { url } = await serverFor(test, (_request, response) => {
    const chunk = Buffer.alloc(64 * 1024)
    const write = (): void => {
      while (!response.destroyed && response.write(chunk)) written += chunk.length
      written += chunk.length
    }
    response.writeHead(200, { 'content-length': String(1024 ** 3) }).on('drain', write)
    write()
  })
  const open = createBlobs({
    send: upstreamFor(test, url).send,
    repository: 'openshift/ci',
    delivery: 'stream',
  })
  const { body } = await opened(open(get(anyDigest)))
  let last = -1
  // It stands still once the buffers of the kernel are full.
  while (last !== written) {
    last = written
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  test.ok(written < 64 * 1024 * 1024, String(written))
  await body.discard()
})

await t.test('attack: an unrequested part does not pass for the whole blob', async (test) => {
  const { open } = await fromServer(test, 206, { 'content-range': 'bytes 0-3/8' }, 'blob')
  test.equal(told(await failure(open(get(anyDigest)))), '503 UNAVAILABLE 5')
})

await t.test('attack: an unreadable range is ignored, and is not a failure of upstream', async (test) => {
  const { open, requests } = await fromServer(test, 200, { 'content-length': '4' }, 'blob')
  for (const [range, ifRange] of [['bytes=\xff'], ['bytes=0-1', '"\xff"']] as const) {
    const { status, body } = await opened(open(get(anyDigest, range, ifRange)))
    test.strictSame([status, String(await bytesOf(body))], [200, 'blob'])
  }
  test.strictSame(
    requests.map(({ headers }) => [headers.range, headers['if-range']]),
    [
      [undefined, undefined],
      [undefined, undefined],
    ],
  )
})

await t.test(
  'trap 35: more ranges than upstream reads are a 400, on which clients request fewer',
  async (test) => {
    for (const status of [400, 431]) {
      const { open } = await fromServer(test, status)
      test.equal(told(await failure(open(get(anyDigest, 'bytes=0-1,4-5')))), '400 UNSUPPORTED')
      test.equal(
        told(await failure(open(get(anyDigest)))),
        '503 UNAVAILABLE 5',
        'without a range it is no fault of it',
      )
    }
  },
)

await t.test('attack: a page of HTML with 200 is not a blob, but a transient error', async (test) => {
  const { open } = await fromServer(test, 200, { 'content-type': 'text/html; charset=utf-8' }, '<html>')
  const error = await failure(open(get(anyDigest)))
  test.ok(error instanceof TransientUpstreamError)
  test.equal(told(error), '503 UNAVAILABLE 5')
})

await t.test('types are passed on in lower case, without parameters', async (test) => {
  const rows: Record<string, string | undefined> = {
    'Application/Octet-Stream ; charset=utf-8': 'application/octet-stream',
    'multipart/byteranges; boundary=A': 'multipart/byteranges; boundary=A',
    nonsense: undefined,
    'a b/c': undefined,
    'a/b, c/d': undefined,
  }
  for (const [type, passed] of Object.entries(rows)) {
    const { open } = await fromServer(test, 200, { 'content-type': type, 'content-length': '4' }, 'blob')
    for (const method of ['GET', 'HEAD'] as const)
      test.equal((await open({ ...get(anyDigest), method })).headers['content-type'], passed, type)
  }
})

const empty = ['sha256', 'sha512'].map(
  (algorithm) => `${algorithm}:${createHash(algorithm).digest('hex')}` as Digest,
)

await t.test('the empty blob has no bytes, wherever upstream redirects', async (test) => {
  const answers: [number, Record<string, string>][] = [
    [200, { 'content-length': '0' }],
    [200, { 'content-length': '99' }],
    [302, {}],
    [302, { location: '' }],
    [302, { location: 'file:///nowhere' }],
    [307, { location: 'http://127.0.0.1:1/empty' }],
  ]
  for (const digest of empty)
    for (const [status, headers] of answers)
      for (const delivery of ['stream', 'redirect'] as const)
        for (const method of ['GET', 'HEAD'] as const) {
          const { url, requests } = await serverFor(test, always(status, headers))
          const { send } = upstreamFor(test, url)
          const open = createBlobs({ send, repository: 'openshift/ci', delivery })
          const blob = await open({ ...get(digest, 'bytes=0-'), method })
          test.match(blob, { status: 200, headers: { 'content-length': '0' } })
          test.equal(blob.body === undefined, method === 'HEAD')
          if (blob.body !== undefined) test.equal((await bytesOf(blob.body)).length, 0)
          await blob.body?.discard()
          test.strictSame(
            requests.map((request) => request.method),
            ['HEAD'],
          )
        }
})

await t.test('the empty blob exists only if upstream says so', async (test) => {
  for (const digest of empty)
    for (const [status, expected] of [
      [404, '404 BLOB_UNKNOWN'],
      [403, '503 UNAVAILABLE 5'],
      [500, '503 UNAVAILABLE 5'],
    ] as const) {
      const { open } = await fromServer(test, status)
      test.equal(told(await failure(open(get(digest)))), expected)
    }
})

await t.test('attack: another blob without bytes is an error', async (test) => {
  for (const length of ['0', '000']) {
    const { open } = await fromServer(test, 200, { 'content-length': length })
    test.ok((await failure(open(get(anyDigest)))) instanceof TransientObjectError)
    const { headers } = await open({ ...get(anyDigest), method: 'HEAD' })
    test.equal(headers['content-length'], undefined, 'of HEAD it is a length that is not known')
  }
})

await t.test('an error of the storage concerns one blob', async (test) => {
  const { quay, open, digest } = await storedBlob(test)
  const rows = [
    [401, '503 UNAVAILABLE 5', true],
    [403, '503 UNAVAILABLE 5', true],
    [404, '404 BLOB_UNKNOWN', false],
    [410, '503 UNAVAILABLE 5', false],
    [416, '503 UNAVAILABLE 5', false],
  ] as const
  for (const [status, expected, isTransient] of rows) {
    quay.fault({ origin: 'cdn', path: /./, status })
    const error = await failure(open(get(digest)))
    test.equal(told(error), expected, String(status))
    test.equal(error instanceof TransientObjectError, isTransient)
    test.equal(error instanceof TransientUpstreamError, isTransient)
  }
})

await t.test(
  '--blob-delivery=redirect: the client is redirected to the storage, and the proxy requests no bytes',
  async (test) => {
    const { quay, digest, bytes } = await storedBlob(test)
    const { send } = connect(test, quay)
    const open = createBlobs({ send, repository: 'openshift/ci', delivery: 'redirect' })
    const { status, headers, body } = await open(get(digest))
    test.strictSame([status, body], [307, undefined])
    test.match(headers, { 'cache-control': 'no-store', 'content-length': '0' })
    test.ok(quay.requests.every(({ origin }) => origin === 'quay'))
    const bought = Buffer.from(await (await fetch(headers['location'] ?? '')).arrayBuffer())
    test.strictSame(bought, bytes)
    const head = await open({ ...get(digest), method: 'HEAD' })
    test.strictSame([head.status, head.headers['content-length']], [200, String(bytes.length)])
  },
)

await t.test('--blob-delivery=redirect: a blob that upstream does not redirect is streamed', async (test) => {
  const { url } = await serverFor(test, always(200, {}, 'blob'))
  const open = createBlobs({
    send: upstreamFor(test, url).send,
    repository: 'openshift/ci',
    delivery: 'redirect',
  })
  const { status, body } = await opened(open(get(anyDigest)))
  test.strictSame([status, String(await bytesOf(body))], [200, 'blob'])
})

await t.test(
  'attack: --blob-delivery=redirect redirects to no address that the proxy itself refuses',
  async (test) => {
    const { url } = await serverFor(test, always(302, { location: 'file:///etc/passwd' }))
    const open = createBlobs({
      send: upstreamFor(test, url).send,
      repository: 'openshift/ci',
      delivery: 'redirect',
    })
    test.equal(told(await failure(open(get(anyDigest)))), '503 UNAVAILABLE 5')
  },
)
