import { createHash } from 'node:crypto'
import t from 'tap'
import { RegistryError, unavailable } from '../../../src/oci/errors.ts'
import { UpstreamRateLimited, TransientUpstreamError } from '../../../src/upstream/errors.ts'
import { createManifestCache } from '../../../src/upstream/cache/manifest-cache.ts'
import type { ManifestCacheOptions } from '../../../src/upstream/cache/manifest-cache-options.ts'
import { isDigest, type Digest, type QciTag } from '../../../src/oci/reference.ts'
import type { FetchManifest, Manifest, ManifestRequest } from '../../../src/oci/image-source.ts'
import { failure, told } from '../upstream.ts'

const tag = 'ocp_4.5_base' as QciTag
const index = 'application/vnd.oci.image.index.v1+json'
const image = 'application/vnd.oci.image.manifest.v1+json'
const signed = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
const manifestOf = (text: string, mediaType = index): Manifest => {
  const content = Buffer.from(text)
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}` as Digest
  return { digest, mediaType, size: content.length, content, isStale: false }
}
const one = manifestOf('{"one":1}')
const two = manifestOf('{"two":2}')
const sources = (served: readonly { source: string }[]) => served.map(({ source }) => source)

type Upstream = (request: ManifestRequest) => Promise<Manifest> | Manifest

const setUp = (options: Partial<ManifestCacheOptions> = {}) => {
  let time = 1_000_000
  let upstream: Upstream = () => one
  const requests: ManifestRequest[] = []
  const served: { source: string }[] = []
  const fetch: FetchManifest = async (request) => {
    requests.push(request)
    const manifest = await upstream(request)
    return request.method === 'HEAD' ? { ...manifest, content: undefined } : manifest
  }
  const { fetchManifest, stats, forget } = createManifestCache({
    fetch,
    maxBytes: 1_000_000,
    tagTtlMs: 10_000,
    staleIfErrorMs: 3_600_000,
    observe: (manifest) => void served.push(manifest),
    // as good as for ever, where a test does not say
    maxWaitMs: 1_000_000,
    now: () => time,
    ...options,
  })
  return {
    requests,
    served,
    stats,
    forget,
    ask: async (reference: QciTag | Digest, more: Partial<ManifestRequest> = {}) =>
      await fetchManifest({ method: 'GET', reference, accept: undefined, requester: 'alice', ...more }),
    pass: (milliseconds: number) => void (time += milliseconds),
    answerWith: (next: Upstream) => void (upstream = next),
    failWith: (error: Error) => {
      upstream = () => {
        throw error
      }
    },
  }
}
const transientErrors = [
  new TransientUpstreamError('UNAVAILABLE', 'upstream answered 503'),
  new TransientUpstreamError('UNAVAILABLE', 'timeout', { status: 504 }),
  new TransientUpstreamError('UNAVAILABLE', 'unreachable'),
]
const [transientError = new Error('none')] = transientErrors
const head = { method: 'HEAD' } as const

await t.test('by digest: a manifest is fetched once, and never again', async (test) => {
  const { ask, requests, served, pass, failWith } = setUp()
  const first = await ask(one.digest, { accept: image, signal: new AbortController().signal })
  test.strictSame(first, one)
  failWith(transientError)
  pass(1e9)
  for (const accept of [undefined, image, index, 'text/plain'])
    test.equal(
      await ask(one.digest, { accept }),
      first,
      'whatever Accept says: the very same, and never stale',
    )
  test.strictSame(await ask(one.digest, head), { ...one, content: undefined })
  test.strictSame(requests, [
    { method: 'GET', reference: one.digest, accept: undefined, priority: undefined, requester: 'alice' },
  ])
  test.strictSame(sources(served), ['live', ...Array.from({ length: 5 }, () => 'cached')])
})

await t.test('by tag: a manifest is fresh for a while, then fetched again', async (test) => {
  const { ask, requests, served, pass, answerWith } = setUp()
  const first = await ask(tag)
  answerWith(() => two)
  pass(9_999)
  test.equal(await ask(tag), first)
  pass(1)
  test.strictSame(await ask(tag), two, 'it has moved')
  test.strictSame(await ask(tag, head), { ...two, content: undefined })
  test.equal(requests.length, 2)
  test.strictSame(sources(served), ['live', 'cached', 'live', 'cached'])
  test.equal((await ask(one.digest)).content, first.content, 'what was there before is known by digest')
  test.equal(requests.length, 2)
})

await t.test('a manifest has one Buffer, however often it is fetched', async (test) => {
  const { ask, pass, requests, answerWith } = setUp()
  answerWith(() => manifestOf('{"one":1}'))
  const { content } = await ask(tag)
  pass(10_000)
  test.equal((await ask(tag)).content, content)
  test.equal((await ask('another' as QciTag)).content, content)
  test.equal(requests.length, 3)
})

await t.test(
  'trap 22: different Accept sets have different entries, different spellings have not',
  async (test) => {
    const { ask, requests, answerWith } = setUp()
    const converted = manifestOf('{"converted":true}', image)
    answerWith(({ accept = '' }) => (accept.includes(index) ? one : converted))
    for (const [accept, expected] of [
      [undefined, one],
      ['*/*', one],
      [index, one],
      [`${image}, ${index}`, one],
      [`${index};q=0.5,${image}`, one],
      [image, converted],
      [`${image};q=0.1`, converted],
    ] as const)
      for (const method of ['HEAD', 'GET'] as const)
        test.equal((await ask(tag, { accept, method })).digest, expected.digest, accept ?? 'none')
    test.strictSame(
      requests.map(({ accept }) => accept).slice(1),
      [index, `${index}, ${image}`, image],
      'upstream is asked for the set, not for the spelling of who was first',
    )
  },
)

await t.test('a 404 for one Accept set does not count for another', async (test) => {
  const { ask, pass, answerWith, failWith } = setUp()
  answerWith(({ accept = '' }) => {
    if (accept.includes(index)) return one
    throw new RegistryError('MANIFEST_UNKNOWN', 'not of this type')
  })
  await ask(tag)
  test.equal(told(await failure(ask(tag, { accept: image }))), '404 MANIFEST_UNKNOWN')
  pass(10_000)
  failWith(transientError)
  test.equal((await ask(tag)).isStale, true)
})

await t.test('trap 21: a HEAD is a GET to upstream, whose result serves the next request', async (test) => {
  const { ask, requests } = setUp()
  test.strictSame(await ask(tag, head), { ...one, content: undefined })
  test.strictSame(await ask(tag), one)
  test.strictSame(await ask(one.digest), one)
  test.strictSame(
    requests.map(({ method }) => method),
    ['GET'],
  )
})

await t.test('200 requests at once, HEAD and GET: one fetch, on account of the first', async (test) => {
  for (const reference of [tag, one.digest]) {
    const { ask, requests, served, answerWith } = setUp()
    const gate = Promise.withResolvers<Manifest>()
    answerWith(() => gate.promise)
    const all = Array.from(
      { length: 200 },
      async (_, position) =>
        await ask(reference, { requester: `requester ${position}`, ...(position % 2 === 0 ? head : {}) }),
    )
    gate.resolve(one)
    for (const [position, manifest] of (await Promise.all(all)).entries())
      test.strictSame(manifest, position % 2 === 0 ? { ...one, content: undefined } : one)
    test.equal(requests.length, 1)
    test.equal(requests[0]?.requester, 'requester 0')
    test.equal(sources(served).filter((source) => source === 'shared').length, 199)
  }
})

await t.test('the first caller leaves, and does not affect others', async (test) => {
  for (const reference of [tag, one.digest]) {
    const { ask, requests, answerWith } = setUp()
    const gate = Promise.withResolvers<Manifest>()
    answerWith(() => gate.promise)
    const controller = new AbortController()
    const first = failure(ask(reference, { signal: controller.signal }))
    const second = ask(reference)
    controller.abort()
    test.equal(told(await first), '503 UNAVAILABLE 5')
    gate.resolve(one)
    test.strictSame(await second, one)
    test.equal(requests.length, 1)
    test.equal(requests[0]?.signal, undefined, 'no signal of a requester goes out')
  }
})

await t.test('while upstream fails, cached tags are served stale, others are not', async (test) => {
  for (const error of transientErrors) {
    const { ask, requests, served, pass, failWith, answerWith } = setUp()
    const { content } = await ask(tag)
    pass(10_000)
    failWith(error)
    const stale = await ask(tag)
    test.strictSame(stale, { ...one, isStale: true })
    test.equal(stale.content, content)
    test.equal(requests.length, 2)
    test.strictSame(await ask(tag, head), { ...one, content: undefined, isStale: true })
    test.equal(requests.length, 2, 'for a second upstream is left alone')
    test.equal(await failure(ask('unknown' as QciTag)), error)
    test.equal(await failure(ask(tag, { accept: image })), error, 'nor is another Accept set known')
    test.equal((await ask(one.digest)).isStale, false, 'by digest nothing is')
    test.strictSame(sources(served), ['live', 'stale', 'stale', 'cached'])
    pass(1000)
    answerWith(() => two)
    test.strictSame(await ask(tag), two, 'it is over when it is over')
  }
})

await t.test('attack: a requester over the rate limit does not keep a tag stale for others', async (test) => {
  const limit = new UpstreamRateLimited('a rate limit of the requester serves a stale manifest', 5)
  const { ask, requests, pass, answerWith } = setUp()
  await ask(tag)
  pass(10_000)
  answerWith(({ requester }) => {
    if (requester === 'greedy') throw limit
    return two
  })
  const greedy = { requester: 'greedy' }
  test.equal((await ask(tag, greedy)).isStale, true, 'known: better served than refused')
  const [, other] = await Promise.all([ask(tag, greedy), ask(tag)])
  test.strictSame(other, two)
  test.equal(requests.length, 4)
  test.equal(await failure(ask('another' as QciTag, greedy)), limit)
})

await t.test('a tag is not served stale for longer than staleIfErrorMs', async (test) => {
  const { ask, pass, failWith } = setUp({ staleIfErrorMs: 60_000 })
  await ask(tag)
  failWith(transientError)
  for (let seconds = 10; seconds < 60; seconds++) {
    pass(seconds === 10 ? 10_000 : 1000)
    test.equal((await ask(tag)).isStale, true)
  }
  pass(1000)
  test.equal(await failure(ask(tag)), transientError)
})

await t.test('a refusal or an absence is never answered with a stale manifest', async (test) => {
  for (const error of [
    unavailable('upstream refuses the proxy', undefined, 30),
    unavailable('upstream answered 403'),
    new RegistryError('MANIFEST_UNKNOWN', 'not there'),
    new TypeError('a defect'),
  ]) {
    const { ask, pass, failWith, requests } = setUp()
    await ask(tag)
    pass(10_000)
    failWith(error)
    await test.rejects(ask(tag), error)
    await test.rejects(ask(tag, head), error)
    test.equal(requests.length, 3, 'and is asked for each time')
  }
})

await t.test('a 404 deletes the tag at once', async (test) => {
  const { ask, pass, failWith, stats } = setUp()
  await ask(tag)
  pass(10_000)
  failWith(new RegistryError('MANIFEST_UNKNOWN', 'pruned'))
  test.equal(told(await failure(ask(tag))), '404 MANIFEST_UNKNOWN')
  test.equal(stats().tags, 0)
  failWith(transientError)
  test.equal(await failure(ask(tag)), transientError)
})

await t.test('a 404 deletes the tag for clients with another Accept, too', async (test) => {
  const accepts = [undefined, index, `${image}, ${index}`]
  for (const accept of accepts) {
    const { ask, pass, failWith, stats } = setUp()
    for (const one of accepts) await ask(tag, { accept: one })
    test.equal(stats().tags, 3)
    pass(10_000)
    failWith(new RegistryError('MANIFEST_UNKNOWN', 'deleted'))
    await test.rejects(ask(tag, { accept }), { code: 'MANIFEST_UNKNOWN' })
    failWith(transientError)
    for (const one of accepts) test.equal(await failure(ask(tag, { accept: one })), transientError)
  }
})

await t.test('a manifest that an operator has removed is fetched again', async (test) => {
  const { ask, forget, requests, stats } = setUp()
  const other = 'ocp_4.5_other' as QciTag
  for (const accept of [undefined, index]) await ask(tag, { accept })
  await ask(other)
  forget({ digests: [one.digest], tags: [tag] })
  test.match(stats(), { manifests: 0, tags: 1 })
  const before = requests.length
  await ask(one.digest)
  await ask(tag)
  await ask(tag)
  await ask(other)
  test.strictSame(
    requests.slice(before).map(({ reference }) => reference),
    [one.digest, tag],
  )
})

await t.test('upstream hangs: no caller waits for long, and the fetch continues', async (test) => {
  const { ask, requests, pass, answerWith, failWith } = setUp({ maxWaitMs: 5 })
  await ask(tag)
  pass(10_000)
  const gate = Promise.withResolvers<Manifest>()
  answerWith(() => gate.promise)
  test.equal((await ask(tag)).isStale, true)
  pass(6)
  const late = await Promise.all(Array.from({ length: 20 }, async () => await ask(tag)))
  test.ok(late.every(({ isStale }) => isStale))
  test.equal(requests.length, 2)
  gate.resolve(two)
  await new Promise((resolve) => setImmediate(resolve))
  test.strictSame(await ask(tag), two, 'its answer is known as soon as it comes')
  test.equal(requests.length, 2)

  pass(10_000)
  const failing = Promise.withResolvers<Manifest>()
  answerWith(() => failing.promise)
  test.equal((await ask(tag)).isStale, true)
  failing.reject(transientError)
  await new Promise((resolve) => setImmediate(resolve))
  failWith(new TypeError('not asked'))
  test.equal((await ask(tag)).isStale, true)
  test.equal(requests.length, 3, 'it has just failed')
})

await t.test('signed schema 1 is never cached, and the old digest of the tag is deleted', async (test) => {
  const { ask, requests, pass, answerWith, failWith, stats } = setUp()
  const schema1 = { ...manifestOf('{"signatures":[]}', signed), digest: two.digest }
  await ask(tag)
  pass(10_000)
  answerWith(() => schema1)
  for (const reference of [tag, schema1.digest])
    for (const method of ['GET', 'HEAD'] as const)
      test.strictSame(await ask(reference, { method }), {
        ...schema1,
        content: method === 'GET' ? schema1.content : undefined,
      })
  test.equal(requests.length, 5)
  test.equal(stats().manifests, 1)
  failWith(transientError)
  test.equal(await failure(ask(tag)), transientError)
})

await t.test('1,000 manifests stay within the bound, and an evicted one is fetched again', async (test) => {
  const maxBytes = 100_000
  const { ask, requests, answerWith, stats } = setUp({ maxBytes })
  answerWith(({ reference }) => manifestOf(`{"of":"${reference}"}${' '.repeat(1000)}`))
  for (let position = 0; position < 1000; position++) {
    await ask(`ocp_4.5_${position}` as QciTag)
    if (stats().bytes > maxBytes) test.fail(`${stats().bytes} bytes`)
  }
  test.ok(stats().manifests > 30 && stats().manifests < 100)
  test.equal(stats().tags, 1000)
  await ask('ocp_4.5_999' as QciTag)
  test.equal(requests.length, 1000)
  await ask('ocp_4.5_0' as QciTag)
  test.equal(requests.at(-1)?.reference, 'ocp_4.5_0', 'by tag: that tells at once whether it has moved')
  test.equal(requests.length, 1001)
})

await t.test(
  'with a bound of 0 each manifest is fetched, and requests at once share a fetch',
  async (test) => {
    const { ask, requests, pass, failWith, stats } = setUp({ maxBytes: 0 })
    for (const reference of [tag, one.digest])
      for (const method of ['GET', 'HEAD'] as const) {
        const before = requests.length
        const expected = { ...one, content: method === 'GET' ? one.content : undefined }
        for (const manifest of await Promise.all([ask(reference, { method }), ask(reference, { method })]))
          test.strictSame(manifest, expected)
        await ask(reference, { method })
        test.strictSame(
          requests.slice(before).map((request) => request.method),
          reference === tag ? ['GET', 'GET'] : [method, method],
          'a HEAD of a digest stays a HEAD; what a tag reaches is known by the bytes alone',
        )
      }
    test.strictSame(stats(), { manifests: 0, bytes: 0, tags: 0 })
    pass(10_000)
    failWith(transientError)
    test.equal(await failure(ask(tag)), transientError)
  },
)

await t.test(
  'with a tag time of 0 upstream is asked each time, and stale tags are served if it fails',
  async (test) => {
    const { ask, requests, failWith } = setUp({ tagTtlMs: 0 })
    await ask(tag)
    await ask(tag)
    test.equal(requests.length, 2)
    failWith(transientError)
    test.equal((await ask(tag)).isStale, true)
  },
)

await t.test('the clock of the process is the default', async (test) => {
  const requests: ManifestRequest[] = []
  const { fetchManifest } = createManifestCache({
    fetch: async (request) => {
      requests.push(request)
      return isDigest(request.reference) ? two : one
    },
    maxBytes: 1_000_000,
    tagTtlMs: 3_600_000,
    staleIfErrorMs: 0,
    observe: () => undefined,
  })
  const wanted = { method: 'GET', reference: tag, accept: undefined, requester: 'alice' } as const
  test.equal(await fetchManifest(wanted), await fetchManifest(wanted))
  test.equal(requests.length, 1)
})

await t.test('background requests delay no other request, and their failures do not count', async (test) => {
  const { ask, requests, answerWith, failWith, pass } = setUp()
  const priority = 'background'
  const slow = Promise.withResolvers<Manifest>()
  answerWith(({ priority: asked }) => (asked === undefined ? one : slow.promise))
  for (const reference of [tag, one.digest]) {
    const behind = ask(reference, { priority })
    test.strictSame(await ask(reference), one, 'not joined')
    slow.resolve(one)
    test.strictSame(await behind, one)
  }
  test.strictSame(
    requests.map((request) => request.priority),
    [priority, undefined, priority].slice(0, requests.length),
  )
  pass(10_000)
  failWith(transientError)
  test.equal((await ask(tag, { priority })).isStale, true)
  answerWith(() => two)
  test.strictSame(await ask(tag), two, 'it is asked at once')
})

await t.test('a tag whose manifest is not in memory is served from the disk', async (test) => {
  const rows = [
    // how old the tag is, what upstream does; what is served
    [5000, 'answers', 'one cached'],
    [20_000, 'answers', 'two live'],
    [20_000, 'fails', 'one stale'],
    [3_600_000, 'fails', 'failure'],
  ] as const
  for (const [ageMs, upstream, expected] of rows) {
    const read: string[] = []
    const { ask, answerWith, failWith, served } = setUp({
      stored: {
        tags: (tags) => {
          tags.confirm(`${tag} 0356`, one.digest, 1_000_000 - ageMs)
          return tags
        },
        read: async (name, digest, requester) => {
          read.push(`${name} ${digest} ${requester}`)
          return await Promise.resolve(one)
        },
      },
    })
    if (upstream === 'answers') answerWith(() => two)
    else failWith(new TransientUpstreamError('UNAVAILABLE', 'down'))
    const found = await ask(tag).catch(() => undefined)
    const name = found === undefined ? 'failure' : found.digest === one.digest ? 'one' : 'two'
    test.equal([name, ...sources(served)].join(' '), expected)
    test.strictSame(read, expected === 'failure' ? [] : [`${tag} ${one.digest} alice`])
    if (expected !== 'one stale') continue
    test.equal((await ask(tag)).isStale, true)
    test.equal(read.length, 1, 'it is in memory from then on')
  }
})

await t.test('a tag that is known to fail, and is on the disk or nowhere', async (test) => {
  for (const isStored of [true, false]) {
    const { ask, failWith, served, requests } = setUp({
      stored: {
        tags: (tags) => {
          tags.confirm(`${tag} 0356`, one.digest, 980_000)
          tags.failed(`${tag} 0356`)
          return tags
        },
        read: async () => await Promise.resolve(isStored ? one : undefined),
      },
    })
    failWith(new TransientUpstreamError('UNAVAILABLE', 'down'))
    await ask(tag).catch(() => undefined)
    test.strictSame(sources(served), isStored ? ['stale'] : [])
    test.equal(requests.length, isStored ? 0 : 1)
  }
})

await t.test(
  'while upstream fails, a tag is served to clients with another Accept, if its type is in it',
  async (test) => {
    for (const isOnDisk of [false, true]) {
      const { ask, failWith, answerWith, served, pass, requests } = setUp(
        isOnDisk
          ? {
              stored: {
                tags: (tags) => {
                  tags.confirm(`${tag} 0356`, one.digest, 1_000_000)
                  return tags
                },
                read: async () => await Promise.resolve(one),
              },
            }
          : {},
      )
      if (!isOnDisk) await ask(tag)
      served.length = 0
      pass(20_000)
      failWith(new TransientUpstreamError('UNAVAILABLE', 'down'))
      const stale = await ask(tag, { accept: `${signed}, ${index}` })
      test.match(stale, { digest: one.digest, isStale: true })
      await test.rejects(ask(tag, { accept: image }), { code: 'UNAVAILABLE' }, 'quay has no such type of it')
      await test.rejects(
        ask(tag, { accept: `${signed}, ${index}`, priority: 'background' }),
        { code: 'UNAVAILABLE' },
        'attack: the index would take a stale answer for what upstream says now',
      )
      await test.rejects(ask('ocp_4.5_other' as QciTag, { accept: index }), { code: 'UNAVAILABLE' })
      test.strictSame(sources(served), ['stale'])
      answerWith(() => two)
      test.equal((await ask(tag, { accept: index })).digest, two.digest, 'upstream is asked first')
      test.equal(requests.at(-1)?.accept, index)
    }
  },
)
