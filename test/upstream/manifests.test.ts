import { createHash } from 'node:crypto'
import t from 'tap'
import type { Test } from 'tap'
import { createManifests, isVerified } from '../../src/upstream/manifests.ts'
import { TransientObjectError, TransientUpstreamError } from '../../src/upstream/errors.ts'
import type { Digest, QciTag } from '../../src/oci/reference.ts'
import type { FetchManifest } from '../../src/oci/image-source.ts'
import type { Quay } from '../../src/sandbox/quay/quay.ts'
import { quayFor, smallImage } from '../sandbox/quay/quay-client.ts'
import { connect, everythingIn, failure, serverFor, told, until, upstreamFor } from './upstream.ts'
import type { TestServer } from './upstream.ts'

const tag = 'ocp_4.19_cli' as QciTag
const everything = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')
const content = Buffer.from('{"schemaVersion":2}')
const digestOf = (algorithm: string, bytes = content): Digest =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest
const mediaType = 'application/vnd.oci.image.manifest.v1+json'

const fromQuay = (test: Test, quay: Quay): FetchManifest =>
  createManifests(connect(test, quay).send, 'openshift/ci')

/** An upstream that answers 200 with these. */
const fromServer = async (
  test: Test,
  headers: Record<string, string>,
  body: Buffer = content,
): Promise<TestServer & { fetch: FetchManifest }> => {
  const server = await serverFor(
    test,
    (_request, response) => void response.writeHead(200, headers).end(body),
  )
  return { ...server, fetch: createManifests(upstreamFor(test, server.url).send, 'openshift/ci') }
}

const get = (reference: QciTag | Digest, accept?: string) =>
  ({ method: 'GET', reference, accept, requester: 'alice' }) as const
const head = (reference: QciTag | Digest, accept?: string) =>
  ({ method: 'HEAD', reference, accept, requester: 'alice' }) as const

await t.test('a manifest is fetched by tag and by digest, with GET and HEAD', async (test) => {
  const quay = await quayFor(test)
  const image = await smallImage()
  quay.tag(tag, image)
  const fetch = fromQuay(test, quay)
  const size = image.body.length
  for (const reference of [tag, image.digest as string as Digest]) {
    const expected = { digest: image.digest, mediaType: image.mediaType, size, isStale: false }
    test.strictSame(await fetch(get(reference)), { ...expected, content: image.body })
    test.strictSame(await fetch(head(reference)), { ...expected, content: undefined })
  }
  const asked = quay.requests.filter(({ url }) => url.includes('/manifests/'))
  test.strictSame(
    asked.map(({ method, url }) => `${method} ${url}`),
    [tag, image.digest].flatMap((reference) =>
      ['GET', 'GET'].map((method) => `${method} /v2/openshift/ci/manifests/${reference}`),
    ),
  )
})

await t.test('trap 22: Accept is passed on unchanged; without one, every type is requested', async (test) => {
  const { fetch, requests } = await fromServer(test, { 'content-type': mediaType })
  const rows = [
    [undefined, everything],
    [mediaType, mediaType],
    [`${mediaType}, */*`, `${mediaType}, */*`],
    ['application/*', 'application/*'],
  ] as const
  for (const [accept] of rows) await fetch(get(tag, accept))
  test.strictSame(
    requests.map(({ headers }) => headers.accept),
    rows.map(([, expected]) => expected),
  )
})

await t.test(
  'trap 23, 24: identity encoding is requested, and no field of a client except Accept',
  async (test) => {
    const { fetch, requests, url } = await fromServer(test, { 'content-type': mediaType })
    await fetch(get(tag, mediaType))
    const { host } = new URL(url)
    test.strictSame(requests, [
      {
        method: 'GET',
        url: `/v2/openshift/ci/manifests/${tag}`,
        headers: { host, connection: 'keep-alive', accept: mediaType, 'accept-encoding': 'identity' },
      },
    ])
  },
)

await t.test('trap 22: a stored type that is not in Accept is unknown, not converted', async (test) => {
  const quay = await quayFor(test)
  quay.tag(tag, await smallImage())
  const fetch = fromQuay(test, quay)
  test.equal(told(await failure(fetch(get(tag, mediaType)))), '404 MANIFEST_UNKNOWN')
  test.ok(await fetch(get(tag)))
})

await t.test('attack: bytes that do not match their digest', async (test) => {
  const quay = await quayFor(test)
  const image = await smallImage()
  quay.tag(tag, image)
  const fetch = fromQuay(test, quay)
  for (const reference of [tag, image.digest as string as Digest]) {
    quay.fault({ origin: 'quay', path: /manifests/, wrongBytes: true })
    const error = await failure(fetch(get(reference)))
    test.equal(told(error), '503 UNAVAILABLE 5')
    test.match(error.cause, new Error('manifest does not match its digest'))
  }
})

await t.test('attack: another manifest, with its own digest, in place of the requested one', async (test) => {
  const { fetch } = await fromServer(test, {
    'content-type': mediaType,
    'docker-content-digest': digestOf('sha256'),
  })
  const asked = digestOf('sha256', Buffer.from('another'))
  test.equal(told(await failure(fetch(get(asked)))), '503 UNAVAILABLE 5')
  test.equal((await fetch(get(digestOf('sha256')))).digest, digestOf('sha256'))
})

await t.test('attack: a manifest cut short', async (test) => {
  const quay = await quayFor(test)
  quay.tag(tag, await smallImage())
  const fetch = fromQuay(test, quay)
  for (const fault of [{ cutAfterBytes: 10 }, { truncateAfterBytes: 10 }]) {
    quay.fault({ origin: 'quay', path: /manifests/, ...fault })
    test.equal(told(await failure(fetch(get(tag)))), '503 UNAVAILABLE 5', JSON.stringify(fault))
  }
})

await t.test('a manifest is fetched by sha512', async (test) => {
  const digest = digestOf('sha512')
  const { fetch } = await fromServer(test, { 'content-type': mediaType, 'docker-content-digest': digest })
  test.equal((await fetch(get(digest))).digest, digest)
  test.equal((await fetch(get(tag))).digest, digest, 'upstream names it so')
  test.equal((await fetch(head(tag))).digest, digest)
  const other = digestOf('sha512', Buffer.from('other'))
  test.equal(told(await failure(fetch(get(other)))), '503 UNAVAILABLE 5')
})

await t.test('a tag without a digest in the response, or with an unverifiable one', async (test) => {
  for (const named of [undefined, '', 'md5:d41d8cd98f00b204e9800998ecf8427e', 'sha256:short']) {
    const { fetch } = await fromServer(test, {
      'content-type': mediaType,
      ...(named === undefined ? {} : { 'docker-content-digest': named }),
    })
    test.equal((await fetch(get(tag))).digest, digestOf('sha256'), String(named))
  }
})

await t.test('signed schema 1: its digest is not over its bytes', async (test) => {
  const signed = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
  const digest = digestOf('sha256', Buffer.from('the payload'))
  const { fetch } = await fromServer(test, { 'content-type': signed, 'docker-content-digest': digest })
  const manifest = await fetch(get(tag))
  test.equal(isVerified(manifest), false)
  test.strictSame(manifest, {
    digest,
    mediaType: signed,
    size: content.length,
    content,
    isStale: false,
  })
})

await t.test('a response without Content-Type is a transient error', async (test) => {
  const { fetch } = await fromServer(test, {})
  for (const reference of [tag, digestOf('sha256')]) {
    const error = await failure(fetch(get(reference)))
    test.equal(told(error), '503 UNAVAILABLE 5')
    test.match(error.cause, new Error('manifest has no Content-Type'))
  }
})

await t.test('a manifest of 4 MiB is read, one with a byte more is not', async (test) => {
  const most = Buffer.alloc(4 * 1024 * 1024, ' ').fill('{}', 0, 2)
  const { fetch } = await fromServer(test, { 'content-type': mediaType }, most)
  test.equal((await fetch(get(tag))).size, most.length)
  const more = await fromServer(test, { 'content-type': mediaType }, Buffer.concat([most, content]))
  const error = await failure(more.fetch(get(tag)))
  test.equal(told(error), '503 UNAVAILABLE 5')
  test.match(error.message, /more than the proxy reads/)
})

await t.test('attack: half a manifest, without a digest in the response', async (test) => {
  const { fetch } = await fromServer(test, { 'content-type': mediaType }, content.subarray(0, -1))
  const error = await failure(fetch(get(tag)))
  test.equal(told(error), '503 UNAVAILABLE 5')
  test.match(error.cause, new Error('manifest is cut off'))
})

await t.test('attack: JSON about something else, without a digest in the response', async (test) => {
  const types = ['application/json', 'Application/JSON; charset=utf-8', 'application/problem+json']
  for (const text of ['{"errors":[]}', '{}', '[]', '5', 'null', '"schemaVersion"'])
    for (const type of types)
      for (const digests of [{}, { 'docker-content-digest': 'none' }]) {
        const { fetch } = await fromServer(test, { 'content-type': type, ...digests }, Buffer.from(text))
        const error = await failure(fetch(get(tag)))
        test.ok(error instanceof TransientUpstreamError, 'what is known may be served')
        test.match(error.cause, new Error('manifest is JSON about something else'), `${type} ${text}`)
      }
  const pushed = Buffer.from('{}')
  const held = { 'content-type': 'application/json', 'docker-content-digest': digestOf('sha256', pushed) }
  const { fetch } = await fromServer(test, held, pushed)
  test.equal((await fetch(get(tag))).mediaType, 'application/json', 'its digest says that it was pushed')
})

const digest = digestOf('sha256')
const named = { 'content-type': mediaType, 'docker-content-digest': digest }

await t.test('trap 21: HEAD is answered like GET, whatever upstream answers to HEAD', async (test) => {
  const { 'docker-content-digest': _, ...unnamed } = named
  for (const headers of [named, unnamed])
    for (const reference of [tag, digest])
      for (const length of ['5', '0', undefined]) {
        const { url, requests } = await serverFor(test, (request, response) => {
          if (request.method === 'HEAD')
            response
              .writeHead(200, { ...headers, ...(length === undefined ? {} : { 'content-length': length }) })
              .end()
          else response.writeHead(200, headers).end(content)
        })
        const fetch = createManifests(upstreamFor(test, url).send, 'openshift/ci')
        const expected = { digest, mediaType, size: content.length, content: undefined, isStale: false }
        test.strictSame(await fetch(head(reference)), expected)
        test.strictSame(
          requests.map(({ method }) => method),
          ['GET'],
        )
      }
})

await t.test('types with parameters and in upper case, from a proxy in between', async (test) => {
  const signed = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
  for (const type of [mediaType, signed, 'application/json'])
    for (const spelling of [type, type.toUpperCase(), `${type}; charset=utf-8`, ` ${type} ;charset=x`]) {
      // What is signed has another digest than its bytes.
      const name = type === signed ? digestOf('sha256', Buffer.from('the payload')) : digest
      const { fetch } = await fromServer(test, { 'content-type': spelling, 'docker-content-digest': name })
      for (const request of [get(tag), head(tag)]) {
        const manifest = await fetch(request)
        test.equal(manifest.mediaType, type, spelling)
        test.equal(isVerified(manifest), type !== signed)
      }
    }
})

await t.test('trap 23: identity codings are accepted, others are not', async (test) => {
  for (const coding of ['identity', 'Identity', ''])
    test.ok(await (await fromServer(test, { ...named, 'content-encoding': coding })).fetch(get(tag)))
  for (const coding of ['gzip', 'identity, zstd']) {
    const { fetch } = await fromServer(test, { ...named, 'content-encoding': coding })
    test.ok((await failure(fetch(get(tag)))) instanceof TransientObjectError, coding)
  }
})

await t.test('attack: a manifest that is too large to parse is refused, and not retried', async (test) => {
  const deep = (depth: number): Buffer<ArrayBuffer> => Buffer.from('['.repeat(depth) + ']'.repeat(depth))
  const layers = (count: number) =>
    Buffer.from(
      JSON.stringify({
        layers: Array.from({ length: count }, (_, at) => ({ digest: digestOf('sha256', Buffer.from([at])) })),
      }),
    )
  const rows: [Buffer<ArrayBuffer>, RegExp | undefined][] = [
    [layers(2000), undefined],
    [layers(2001), /more than 2000/],
    [deep(32), undefined],
    [deep(33), /32 levels/],
    [Buffer.from('{"layers":[],"layers":[]}'), /twice/],
  ]
  for (const [body, message] of rows) {
    const name = digestOf('sha256', body)
    const { fetch } = await fromServer(
      test,
      { 'content-type': mediaType, 'docker-content-digest': name },
      body,
    )
    for (const request of [get(tag), head(tag), get(name)]) {
      if (message === undefined) {
        test.equal((await fetch(request)).digest, name)
        continue
      }
      const error = await failure(fetch(request))
      test.equal(told(error), '400 MANIFEST_INVALID')
      test.notOk(error instanceof TransientUpstreamError)
      test.match(error.message, message)
      test.match(error, { digest: name, content: body }, 'what it mentions can be learnt')
    }
  }
  const signed = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
  const cut = await fromServer(
    test,
    { 'content-type': signed, 'docker-content-digest': digest },
    content.subarray(1),
  )
  test.ok(
    (await failure(cut.fetch(get(tag)))) instanceof TransientUpstreamError,
    'what is signed may have been cut',
  )
})

await t.test('trap 27: TAG_EXPIRED and every other 404 is MANIFEST_UNKNOWN, with the name', async (test) => {
  const quay = await quayFor(test)
  quay.tag(tag, await smallImage())
  quay.untag(tag)
  const fetch = fromQuay(test, quay)
  for (const reference of [tag, 'absent' as QciTag, digest])
    for (const request of [get(reference), head(reference)]) {
      const error = await failure(fetch(request))
      test.equal(told(error), '404 MANIFEST_UNKNOWN')
      test.match(error.message, `${reference} is not in QCI: `)
      test.notMatch(everythingIn(error), /TAG_EXPIRED|time machine/)
    }
  const elsewhere = createManifests(connect(test, quay).send, 'openshift/other')
  test.equal(told(await failure(elsewhere(get(tag)))), '404 MANIFEST_UNKNOWN')
})

await t.test('other statuses concern the request of the robot, not that of the client', async (test) => {
  for (const status of [204, 206, 304, 400, 403, 405, 416]) {
    const { url } = await serverFor(test, (_request, response) => void response.writeHead(status).end())
    const fetch = createManifests(upstreamFor(test, url).send, 'openshift/ci')
    const error = await failure(fetch(get(tag)))
    test.equal(told(error), '503 UNAVAILABLE 5', String(status))
    test.match(error.cause, new Error(`upstream answered ${status}`))
  }
})

await t.test('trap 39: 429 and 5xx are transient errors', async (test) => {
  const quay = await quayFor(test)
  quay.tag(tag, await smallImage())
  const fetch = fromQuay(test, quay)
  quay.fault({ origin: 'quay', path: /manifests/, status: 429 })
  test.equal(told(await failure(fetch(get(tag)))), '429 TOOMANYREQUESTS 5')
  quay.fault({ origin: 'quay', path: /manifests/, status: 502 })
  test.equal(told(await failure(fetch(head(tag)))), '503 UNAVAILABLE 5')
})

await t.test('the request ends when its caller leaves', async (test) => {
  const { url, requests } = await serverFor(test, () => undefined)
  const fetch = createManifests(upstreamFor(test, url).send, 'openshift/ci')
  const controller = new AbortController()
  const fetched = failure(fetch({ ...get(tag), signal: controller.signal }))
  await until(() => requests.length === 1)
  controller.abort()
  test.equal(told(await fetched), '503 UNAVAILABLE 5')
})

await t.test(
  'attack: a page of HTML with 200 is not a manifest, by tag, by digest, GET and HEAD',
  async (test) => {
    const page = Buffer.from('<html>maintenance</html>')
    const types = [
      'text/html',
      'text/html; charset=utf-8',
      'text/plain',
      'application/octet-stream',
      'application/jsonp',
    ]
    for (const type of types) {
      const { fetch } = await fromServer(test, { 'content-type': type }, page)
      for (const reference of [tag, digestOf('sha256', page)])
        for (const request of [get(reference), head(reference)]) {
          const error = await failure(fetch(request))
          test.ok(error instanceof TransientUpstreamError, 'what is known may be served instead')
          test.match(told(error), /^503 UNAVAILABLE/)
        }
    }
    const real = [
      'application/json',
      'application/json; charset=utf-8',
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      'application/vnd.cncf.oras.artifact.manifest.v1+json',
    ]
    for (const type of real) {
      const { fetch } = await fromServer(test, { 'content-type': type })
      test.equal((await fetch(get(tag))).mediaType, type.split(';', 1)[0])
    }
  },
)
