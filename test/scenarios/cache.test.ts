/**
 * The cache on a disk, in a whole system. Each blob comes from upstream once. A warm cache serves while upstream fails, and after a
 * restart. Whatever fails, no client gets a whole wrong blob.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { buildImage, type Image } from '../../src/sandbox/quay/images.ts'
import type { FaultRule } from '../../src/sandbox/quay/faults.ts'
import { startAnother, startUnready } from './another-replica.ts'
import { createPuller } from './puller.ts'
import { accept, scenario, type Scenario } from './scenario.ts'

const directoryFor = (t: Test): string => {
  const path = mkdtempSync(join(tmpdir(), 'quay-proxy-cache-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A proxy with a cache and without the walk of restricted tags, so that only the test causes requests to upstream. */
const startCached = async (s: Scenario, directory: string, flags: readonly string[] = []) => {
  const proxy = await startUnready(s, [`--cache-dir=${directory}`, '--restricted-index=off', ...flags])
  const get = async (path: string, token: string, headers: Readonly<Record<string, string>> = {}) => {
    const response = await fetch(`${proxy.url}${path}`, {
      headers: { authorization: `Bearer ${token}`, accept, ...headers },
    })
    return { response, body: Buffer.from(await response.arrayBuffer()) }
  }
  return { ...proxy, get }
}

const imageOf = async (name: string, layers: number, layerBytes: number): Promise<Image> =>
  await buildImage({ name, platforms: ['linux/amd64'], layers, layerBytes, format: 'oci' })

const blobRequests = (s: Scenario) =>
  s.quay.requests.filter(({ url, origin }) => origin === 'cdn' || url.includes('/blobs/')).length

await scenario(
  '200 clients of a cold image of 20 layers: each blob comes from upstream once',
  async (t, s) => {
    const image = await imageOf('my-team/app:cold', 20, 30_000)
    s.quay.tag('my-team_app_cold', image)
    const proxy = await startCached(s, directoryFor(t))
    const before = blobRequests(s)
    const client = createPuller({ url: proxy.url, token: s.puller, connections: 100 })
    const pulled = await Promise.all(
      Array.from({ length: 200 }, async () => await client.pull('my-team/app', 'cold')),
    )
    t.equal(new Set(pulled).size, 1, 'every digest was right')
    t.strictSame([...client.retries], [])
    t.equal(
      blobRequests(s) - before,
      2 * 21,
      'one at quay, one at its storage, for each layer and the config',
    )
    await client.pull('my-team/app', 'cold')
    t.equal(blobRequests(s) - before, 2 * 21)
    await client.close()
    await proxy.stop()
  },
)

await scenario(
  'upstream is gone and the proxy was restarted: a warm image is pulled, a cold one is 503',
  async (t, s) => {
    const directory = directoryFor(t)
    const image = await imageOf('my-team/app:warm', 3, 100_000)
    s.quay.tag('my-team_app_warm', image)
    s.quay.tag('my-team_app_cold', await imageOf('my-team/app:cold', 1, 1000))
    const first = await startCached(s, directory)
    const client = createPuller({ url: first.url, token: s.puller, connections: 4 })
    await client.pull('my-team/app', 'warm')
    await client.close()
    await first.get('/v2/my-team/app/manifests/warm', s.puller)
    await first.stop()

    s.quay.fault({ origin: 'quay', path: /./, status: 503, count: Infinity })
    s.quay.fault({ origin: 'cdn', path: /./, status: 503, count: Infinity })
    const second = await startCached(s, directory, ['--retry-timeout=200ms', '--tag-ttl=0s'])
    const manifest = await second.get('/v2/my-team/app/manifests/warm', s.puller)
    t.equal(manifest.response.status, 200)
    t.equal(manifest.response.headers.get('warning'), '110 - "Response is Stale"')
    t.equal(manifest.response.headers.get('docker-content-digest'), image.digest)
    const later = createPuller({ url: second.url, token: s.puller, connections: 4 })
    await later.pull('my-team/app', 'warm')
    await later.pull('my-team/app', 'warm')
    await later.close()
    const byDigest = await second.get(`/v2/openshift/ci/manifests/${image.digest}`, s.alice)
    t.equal(byDigest.response.status, 200)
    const cold = await second.get('/v2/my-team/app/manifests/cold', s.puller)
    t.equal(cold.response.status, 503)
    t.match(cold.body.toString(), 'UNAVAILABLE')
    const denied = await second.get('/v2/my-team/app/manifests/warm', s.mallory)
    t.equal(denied.response.status, 403, 'also from the cache')
    await second.stop()
  },
)

await scenario(
  'upstream is gone and the proxy was restarted: it gets ready with the restricted index of its last start',
  async (t, s) => {
    const directory = directoryFor(t)
    const [open, restricted, payload] = await Promise.all(
      ['open', 'restricted', 'payload'].map(async (name) => await imageOf(name, 1, 1000)),
    )
    s.quay.tag('ocp_4.5_base', open!)
    s.quay.tag('ocp-priv_4.5_base', restricted!)
    s.quay.tag('rc_payload__1', payload!)
    const cached = [`--cache-dir=${directory}`, '--retry-timeout=200ms', '--tag-ttl=0s']
    const first = await startAnother(s, cached)
    const status = async (url: string, reference: string, token = s.alice) =>
      (
        await fetch(`${url}/v2/openshift/ci/manifests/${reference}`, {
          headers: { authorization: `Bearer ${token}`, accept },
        })
      ).status
    const robot = `Basic ${Buffer.from(`${s.robot.username}:${s.robot.password}`).toString('base64')}`
    for (const reference of ['ocp_4.5_base', payload!.digest])
      t.equal(await status(first.url, reference), 200)
    const asRobot = await fetch(`${first.url}/v2/openshift/ci/manifests/ocp-priv_4.5_base`, {
      headers: { authorization: robot, accept },
    })
    t.equal(asRobot.status, 200)
    await first.stop()

    for (const origin of ['quay', 'cdn'] as const)
      s.quay.fault({ origin, path: /./, status: 503, count: Infinity })
    // The walk of the first proxy is older than three intervals, so it does not count as complete.
    const second = await startUnready(s, [...cached, '--restricted-index-interval=1ms'])
    while ((await fetch(`${second.url}/readyz`)).status !== 200)
      await new Promise((resolve) => setTimeout(resolve, 10))
    t.match(await (await fetch(`${second.url}/readyz?verbose`)).text(), 'restricted index: of the last start')
    t.equal(await status(second.url, 'ocp_4.5_base'), 200, 'a tag')
    t.equal(await status(second.url, open!.digest), 200, 'a digest that a known tag opens')
    t.equal(await status(second.url, restricted!.digest), 403, 'a restricted digest')
    t.equal(
      await status(second.url, payload!.digest),
      503,
      'whether a digest is restricted that no tag is known to reach is not known',
    )
    await second.stop()
  },
)

await scenario('trap 34, trap 38: ranges, HEAD and conditions from the cache', async (t, s) => {
  const image = await imageOf('my-team/app:ranges', 1, 200_000)
  s.quay.tag('my-team_app_ranges', image)
  const proxy = await startCached(s, directoryFor(t))
  await proxy.get('/v2/my-team/app/manifests/ranges', s.puller)
  const [digest, bytes] = [...image.blobs].find(([, { length }]) => length > 100_000)!
  const path = `/v2/my-team/app/blobs/${digest}`
  for (const round of ['cold', 'filled', 'warm']) {
    const part = await proxy.get(path, s.puller, { range: 'bytes=1000-1999' })
    t.equal(part.response.status, 206, round)
    t.equal(part.response.headers.get('content-range'), `bytes 1000-1999/${bytes.length}`)
    t.equal(part.response.headers.get('docker-content-digest'), digest)
    t.ok(part.body.equals(bytes.subarray(1000, 2000)))
    const etag = part.response.headers.get('etag') ?? ''
    const held = await proxy.get(path, s.puller, { range: 'bytes=-5', 'if-range': etag })
    t.ok(held.body.equals(bytes.subarray(-5)), round)
    const other = await proxy.get(path, s.puller, { range: 'bytes=-5', 'if-range': '"other"' })
    t.ok(other.body.equals(bytes), round)
    const outside = await proxy.get(path, s.puller, { range: `bytes=${bytes.length}-` })
    t.equal(outside.response.status, 416, round)
    const head = await fetch(`${proxy.url}${path}`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${s.puller}`, range: 'bytes=0-4' },
    })
    t.equal(head.status, 200, round)
    t.equal(head.headers.get('content-length'), `${bytes.length}`, round)
  }
  await proxy.stop()
})

type Fault = Partial<FaultRule> & { readonly origin: 'quay' | 'cdn' }

/** How upstream breaks its first answers, and whether the proxy can repair it. */
const faults: Readonly<
  Record<string, { readonly fault: Fault; readonly isSavable: (size: number) => boolean }>
> = {
  'cut at the beginning': { fault: { origin: 'cdn', cutAfterBytes: 0 }, isSavable: () => true },
  'cut in the middle': { fault: { origin: 'cdn', cutAfterBytes: 5000 }, isSavable: () => true },
  'cut twice': { fault: { origin: 'cdn', cutAfterBytes: 4000, count: 2 }, isSavable: () => true },
  'a clean end too early': { fault: { origin: 'cdn', truncateAfterBytes: 5000 }, isSavable: () => true },
  stall: { fault: { origin: 'cdn', stallAfterBytes: 5000 }, isSavable: () => true },
  reset: { fault: { origin: 'cdn', reset: true }, isSavable: () => true },
  'storage 403': { fault: { origin: 'cdn', status: 403 }, isSavable: () => true },
  'storage 502': { fault: { origin: 'cdn', status: 502 }, isSavable: () => true },
  'quay 502': { fault: { origin: 'quay', status: 502 }, isSavable: () => true },
  // The bytes that the proxy holds back are the whole of a small blob.
  'wrong bytes': { fault: { origin: 'cdn', wrongBytes: true }, isSavable: (size) => size < 16_000 },
  'wrong length': { fault: { origin: 'cdn', headers: { 'content-length': '77' } }, isSavable: () => true },
}

await scenario(
  'generated: faults of upstream x sizes x readers: nobody gets a whole wrong blob',
  async (t, s) => {
    const proxy = await startCached(s, directoryFor(t), ['--stall-timeout=200ms'])
    let cells = 0
    for (const [name, { fault, isSavable }] of Object.entries(faults))
      for (const layerBytes of [8000, 120_000])
        for (const readers of [1, 8]) {
          const tag = `cell-${cells++}`
          const image = await imageOf(`my-team/faults:${tag}`, 1, layerBytes)
          s.quay.tag(`my-team_faults_${tag}`, image)
          await proxy.get(`/v2/my-team/faults/manifests/${tag}`, s.puller)
          const [digest, bytes] = [...image.blobs].toSorted(([, a], [, b]) => b.length - a.length)[0]!
          const hex = digest.slice('sha256:'.length)
          s.quay.fault({ path: new RegExp(hex), count: 1, ...fault })
          const pulled = await Promise.all(
            Array.from({ length: readers }, async () => {
              const outcome = await proxy
                .get(`/v2/my-team/faults/blobs/${digest}`, s.puller)
                .catch(() => undefined)
              if (outcome === undefined || outcome.response.status !== 200) return 'failed'
              return `sha256:${createHash('sha256').update(outcome.body).digest('hex')}` === digest
                ? 'right'
                : 'wrong'
            }),
          )
          const cell = `${name}, ${bytes.length} bytes, ${readers} readers`
          t.notOk(pulled.includes('wrong'), cell)
          if (isSavable(bytes.length)) t.notOk(pulled.includes('failed'), cell)
          const again = await proxy.get(`/v2/my-team/faults/blobs/${digest}`, s.puller)
          t.ok(again.body.equals(bytes), `${cell}: afterwards`)
        }
    t.ok(cells >= 44)
    await proxy.stop()
  },
)

await scenario('a second proxy on one directory is refused, and told what to do', async (t, s) => {
  const directory = directoryFor(t)
  const proxy = await startCached(s, directory)
  await t.rejects(startCached(s, directory), {
    message: /^--cache-dir=\S+ is in use by process \d+ of .*; give each proxy a directory of its own/,
  })
  await proxy.stop()
  await (await startCached(s, directory)).stop()
})
