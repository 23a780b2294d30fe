/**
 * Checks the order of the stages from outside, by the requests that each stage saves or repeats.
 */
import { rootCertificates } from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import { digestOf } from '../../src/sandbox/quay/layers.ts'
import type { Quay } from '../../src/sandbox/quay/quay.ts'
import { createPipeline, type PipelineOptions } from '../../src/upstream/pipeline.ts'
import type { Digest, QciTag } from '../../src/oci/reference.ts'
import { robot, quayFor, smallImage } from '../sandbox/quay/quay-client.ts'
import { recordTraces } from '../support/tracing.ts'
import { until } from '../support/until.ts'
import type { S3Tier } from '../../src/storage/s3/s3-tier.ts'
import { cacheFor, scriptedUpstream } from './cache/scripted-upstream.ts'
import { bytesOf, failure, told } from './upstream.ts'

const sourceFor = (test: Test, quay: Quay, options: Partial<PipelineOptions> = {}) => {
  const counts: Record<string, number> = {}
  const learnt: string[] = []
  const count = (what: string) => () => {
    counts[what] = (counts[what] ?? 0) + 1
  }
  const credentials = [robot]
  const { source, close } = createPipeline({
    learn: async (tag, { digest }) => void learnt.push(tag ?? digest),
    upstream: new URL(quay.url),
    upstreamCa: undefined,
    upstreamRepository: quay.repository,
    maxUpstreamConnections: 8,
    credentials: () => credentials,
    upstreamLimits: 'none',
    replicas: 1,
    retryTimeoutMs: 0,
    stallTimeoutMs: 10_000,
    manifestCacheBytes: 0,
    tagTtlMs: 0,
    staleIfErrorMs: 0,
    blobDelivery: 'stream',
    observe: {
      refused: count('refused'),
      request: count('request'),
      retry: count('retry'),
      hedge: count('hedge'),
      circuitOpen: count('circuitOpen'),
      wait: count('wait'),
      limited: count('limited'),
      paused: count('paused'),
      slotRefused: count('slotRefused'),
      resume: count('resume'),
      manifest: count('manifest'),
      tags: count('tags'),
    },
    ...options,
  })
  test.teardown(close)
  const fetchManifest = async (tag: string) =>
    await source.fetchManifest({
      method: 'GET',
      reference: tag as QciTag,
      accept: undefined,
      requester: 'alice',
    })
  const openBlob = async (digest: Digest, requester = 'alice') => {
    const { body } = await source.openBlob({
      method: 'GET',
      digest,
      range: undefined,
      ifRange: undefined,
      requester,
    })
    if (body === undefined) throw new Error('no body')
    return body
  }
  const head = async (digest: Digest) =>
    await source.openBlob({
      method: 'HEAD',
      digest,
      range: undefined,
      ifRange: undefined,
      requester: 'alice',
    })
  return { fetchManifest, openBlob, head, counts, learnt }
}

/** A quay with one image of one layer, which is too large to be thrown away. */
const stocked = async (test: Test) => {
  const quay = await quayFor(test)
  const image = await smallImage({ platforms: ['linux/amd64'], layerBytes: 1_000_000 })
  quay.tag('ocp_4.5_base', image)
  const [digest, bytes] = [...image.blobs].toSorted(([, a], [, b]) => b.length - a.length)[0]!
  return { quay, digest: digest as Digest, bytes }
}

await t.test('circuit breaker: an upstream that is down does not get every request', async (test) => {
  const { quay } = await stocked(test)
  const { fetchManifest, counts } = sourceFor(test, quay)
  await fetchManifest('ocp_4.5_base')
  quay.fault({ origin: 'quay', path: /manifests/, status: 502, count: Infinity })
  const before = quay.requests.length
  for (let index = 0; index < 100; index++)
    test.match(told(await failure(fetchManifest(`ocp_4.5_${index}`))), /^503 UNAVAILABLE/)
  test.ok(quay.requests.length - before < 20, `${quay.requests.length - before} of 100`)
  test.ok((counts['circuitOpen'] ?? 0) > 80)
})

await t.test('slots: as many blobs as connections, and the last ones not for the greediest', async (test) => {
  const { quay, digest, bytes } = await stocked(test)
  const { openBlob } = sourceFor(test, quay, { maxUpstreamConnections: 4 })
  const opened: Awaited<ReturnType<typeof openBlob>>[] = []
  for (let index = 0; index < 10; index++) void openBlob(digest).then((body) => opened.push(body))
  await until(() => opened.length === 3)
  test.same(await bytesOf(await openBlob(digest, 'bob')), bytes)
  test.equal(opened.length, 3)
  for (let index = 0; index < 10; index++) {
    await until(() => opened.length > index)
    await opened[index]!.discard()
  }
})

await t.test('resume: a blob that is silent for --stall-timeout is resumed', async (test) => {
  const { quay, digest, bytes } = await stocked(test)
  const { openBlob, counts } = sourceFor(test, quay, { stallTimeoutMs: 50 })
  quay.fault({ origin: 'cdn', path: /./, stallAfterBytes: 1000 })
  const body = await openBlob(digest)
  const late = setTimeout(() => test.fail('it waits for longer than that'), 10_000)
  test.same(await bytesOf(body), bytes)
  clearTimeout(late)
  test.equal(counts['resume'], 1)
})

await t.test('retry: the login is retried, too', async (test) => {
  const { quay } = await stocked(test)
  const { fetchManifest, counts } = sourceFor(test, quay, {
    upstreamLimits: 'quay',
    upstreamCa: rootCertificates[0],
  })
  quay.fault({ origin: 'quay', path: /^\/v2\/auth/, status: 502 })
  test.ok(await fetchManifest('ocp_4.5_base'))
  test.equal(counts['retry'], undefined, 'not by who asked')
})

await t.test(
  'hedge: a login and a blob that hang are sent a second time; a late answer frees its connection',
  async (test) => {
    const { quay, digest, bytes } = await stocked(test)
    const { fetchManifest, openBlob, counts } = sourceFor(test, quay, { maxUpstreamConnections: 2 })
    quay.fault({ origin: 'quay', path: /^\/v2\/auth/, hang: true })
    test.ok(await fetchManifest('ocp_4.5_base'))
    const hedges = counts['hedge'] ?? 0
    quay.fault({ origin: 'cdn', path: /./, delayMs: 4500 })
    test.same(await bytesOf(await openBlob(digest)), bytes)
    test.equal(counts['hedge'], hedges + 1)
    const requests = () => counts['request']
    const before = requests()
    await until(() => requests() === (before ?? 0) + 1)
    // With one of two connections held by an answer that nobody takes, the second would wait.
    const both = await Promise.all([openBlob(digest), openBlob(digest)])
    for (const body of both) test.same(await bytesOf(body), bytes)
  },
)

await t.test('a manifest is learnt before any client gets it, by tag and by digest', async (test) => {
  const { quay } = await stocked(test)
  const { fetchManifest, learnt } = sourceFor(test, quay)
  const { digest } = await fetchManifest('ocp_4.5_base')
  test.strictSame(learnt, ['ocp_4.5_base'])
  await fetchManifest(digest)
  test.strictSame(learnt, ['ocp_4.5_base', digest])
  const body = Buffer.from('{"schemaVersion":2,"layers":[],"layers":[]}')
  const odd = { digest: digestOf(body), mediaType: 'application/vnd.oci.image.manifest.v1+json', body }
  quay.tagMany(['ocp_4.5_odd'], { ...odd, manifests: [odd], blobs: new Map() })
  const error = await failure(fetchManifest('ocp_4.5_odd'))
  test.equal(told(error), '400 MANIFEST_INVALID')
  test.strictSame(learnt.at(-1), 'ocp_4.5_odd', 'a manifest that nobody can parse, too')
  const failing = sourceFor(test, quay, { learn: async () => await Promise.reject(new Error('no room')) })
  await test.rejects(failing.fetchManifest('ocp_4.5_base'), { message: 'no room' })
})

await t.test('with S3, a redirect is to S3 alone: what it does not have is streamed', async (test) => {
  const { quay, digest, bytes } = await stocked(test)
  const { storage } = cacheFor(test, scriptedUpstream())
  const tier = {
    sizeOf: async () => await Promise.resolve(undefined),
    get: async () => await Promise.resolve(undefined),
    offer: () => undefined,
  } as unknown as S3Tier
  const observe = { served: () => undefined, sent: () => undefined }
  const s3 = { tier, delivery: 'redirect', observe: { read: () => undefined } } as const
  const { openBlob } = sourceFor(test, quay, {
    blobDelivery: 'redirect',
    diskCache: { storage, observe, s3 },
  })
  test.ok((await bytesOf(await openBlob(digest))).equals(bytes))
})

await t.test(
  'traces: the span of a blob ends with its body; a manifest tells where it came from',
  async (test) => {
    const { quay, digest, bytes } = await stocked(test)
    const { tracing, within, named } = recordTraces()
    const { openBlob, fetchManifest, counts } = sourceFor(test, quay, { tracing })
    await within(async () => {
      const body = await openBlob(digest)
      test.ok(named('fetch blob'))
      test.equal(named('stored blob'), undefined)
      test.same(await bytesOf(body), bytes)
      test.equal(named('stored blob')?.attributes['quay_proxy.digest'], digest)
      await (await openBlob(digest)).discard()
      await fetchManifest('ocp_4.5_base')
    })
    test.equal(named('cached manifest')?.attributes['quay_proxy.source'], 'live')
    test.equal(counts['manifest'], 1)
  },
)

await t.test('traces: a blob without a body', async (test) => {
  const { quay, digest } = await stocked(test)
  const { tracing, within, named } = recordTraces()
  const { head } = sourceFor(test, quay, { tracing })
  test.match(await within(async () => await head(digest)), { status: 200 })
  test.ok(named('stored blob'))
})
