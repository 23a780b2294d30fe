import { buildImage } from '../../src/sandbox/quay/images.ts'
import { startUnready } from './another-replica.ts'
import { accept, scenario, type Scenario } from './scenario.ts'

const watch = ['--imagestreams=watch']

const digestOf = ({ stock }: Scenario, name: string): string =>
  stock.tags.find(({ tag }) => tag === name)?.digest ?? ''

const byDigest = async (
  { ask }: Scenario,
  token: string,
  digest: string,
  repository = 'openshift/ci',
): Promise<number> =>
  (await ask(`/v2/${repository}/manifests/${digest}`, { token, headers: { accept } })).status

const small = {
  platforms: ['linux/amd64', 'linux/arm64'],
  layers: 1,
  layerBytes: 1024,
  format: 'oci',
} as const

/** Number of ImageStreams that the proxy knows. The test adds them one at a time. */
const claimed = async (s: Scenario): Promise<number> =>
  Number(/quay_proxy_watched_image_streams (\d+)/.exec(await s.metrics())?.[1])

/** Waits until an event has arrived, because nothing announces it. */
const until = async (status: number, answer: () => Promise<number>): Promise<void> => {
  while ((await answer()) !== status) await new Promise((resolve) => setTimeout(resolve, 5))
}

await scenario(
  'a restricted digest without any pull is closed to QCI-wide, with its contents, whatever ImageStreams say',
  async (t, s) => {
    const { imageStreams } = s.kubernetes
    const digest = digestOf(s, 'ocp-priv_4.5_embargoed')
    t.equal(await byDigest(s, s.alice, digest), 403, 'its tag was followed before anybody asked')
    const strangers = [
      { namespace: 'my-team', name: 'stolen' },
      { namespace: 'ocp', name: 'stolen' },
      { namespace: 'mallory-ns', name: 'stolen' },
    ]
    const sentinel = digestOf(s, 'my-team_app_latest')
    for (const stranger of strangers) {
      imageStreams.put({ ...stranger, tags: { latest: [digest, sentinel] } })
      await until(s.kubernetes.imageStreams.count, async () => await claimed(s))
      for (const token of [s.alice, s.puller, s.mallory])
        for (const repository of ['openshift/ci', `${stranger.namespace}/stolen`])
          t.equal(await byDigest(s, token, digest, repository), 403, `${repository}: a claim opens nothing`)
      imageStreams.delete(stranger.namespace, stranger.name)
    }
    t.equal((await s.ask(`/v2/openshift/ci/blobs/${digest}`, { token: s.alice })).status, 403)

    // Requesters with access pull it by digest: its children belong to the same namespace.
    const basic = Buffer.from(`${s.robot.username}:${s.robot.password}`).toString('base64')
    const authorized = { authorization: `Basic ${basic}`, accept }
    const served = await s.ask(`/v2/openshift/ci/manifests/${digest}`, { headers: authorized })
    t.equal(served.status, 200)
    const { manifests } = JSON.parse(served.body.toString()) as { manifests: { digest: string }[] }
    t.ok(manifests.length > 0)
    for (const child of manifests) t.equal(await byDigest(s, s.alice, child.digest), 403)
  },
  watch,
)

await scenario(
  'an ImageStream is a hint: with it, a puller of a namespace can pull by digest first',
  async (t, s) => {
    const { imageStreams } = s.kubernetes
    const digest = digestOf(s, 'my-team_app_latest')
    t.equal(await byDigest(s, s.puller, digest), 403)
    imageStreams.put({ namespace: 'my-team', name: 'app', tags: { latest: [digest], old: ['no digest'] } })
    await until(200, async () => await byDigest(s, s.puller, digest))
    const pulled = await s.pull({
      repository: 'openshift/ci',
      reference: digest,
      username: 'puller',
      password: s.puller,
    })
    t.ok(pulled, 'every layer of it')
    const metrics = await s.metrics()
    t.match(metrics, 'quay_proxy_watched_digests 1\n')
    t.match(metrics, 'quay_proxy_watched_image_streams 1\n')
  },
  watch,
)

await scenario(
  'the claim of a restricted namespace closes an unseen digest until it is checked',
  async (t, s) => {
    const { imageStreams } = s.kubernetes
    const never = digestOf(s, 'ocp_4.15_base')
    imageStreams.put({ namespace: 'ocp-priv', name: 'gone', tags: { latest: [never] } })
    await until(s.kubernetes.imageStreams.count, async () => await claimed(s))
    t.equal(await byDigest(s, s.alice, never), 200, 'its tag is not in QCI')
    const checked = s.quay.requests.map(({ url }) => url)
    t.ok(
      checked.some((url) => url.endsWith('/manifests/ocp-priv_gone_latest')),
      'which was asked for',
    )

    // A tag of a restricted namespace is pushed. Its ImageStream names it before the next round of the index.
    const image = await buildImage({ ...small, name: 'fresh' })
    s.quay.tag('ocp-priv_fresh_latest', image)
    imageStreams.put({ namespace: 'ocp-priv', name: 'fresh', tags: { latest: [image.digest] } })
    await until(s.kubernetes.imageStreams.count, async () => await claimed(s))
    t.equal(await byDigest(s, s.alice, image.digest), 403)
    for (const { digest } of image.manifests)
      t.equal(await byDigest(s, s.alice, digest), 403, 'and its platforms')

    // A restricted namespace that has no tag in QCI closes nothing.
    const other = digestOf(s, 'ci_tools_latest')
    imageStreams.put({ namespace: 'mallory-priv', name: 'x', tags: { latest: [other] } })
    await until(s.kubernetes.imageStreams.count, async () => await claimed(s))
    t.equal(await byDigest(s, s.alice, other), 200)
  },
  watch,
)

await scenario(
  'cut and expired: the watch goes on without a gap, and pulls never notice',
  async (t, s) => {
    const { imageStreams } = s.kubernetes
    const namespaces = ['a', 'b', 'c', 'd']
    const pulls: Promise<unknown>[] = []
    for (const [number, namespace] of namespaces.entries()) {
      pulls.push(s.pull({ repository: 'ocp/4.5', reference: 'base', username: 'alice', password: s.alice }))
      const other = `sha256:${String(number).repeat(64)}`
      imageStreams.put({ namespace, name: 'x', tags: { latest: [other] } })
      await until(s.kubernetes.imageStreams.count, async () => await claimed(s))
      imageStreams.cut(number % 2 === 0 ? 'cleanly' : 'mid-line')
      imageStreams.delete(namespace, 'x')
      if (number > 1) imageStreams.expire(number === 2 ? 'event' : 'status')
      await until(s.kubernetes.imageStreams.count, async () => await claimed(s))
    }
    await Promise.all(pulls)
    t.equal(imageStreams.requests.pages, 3, 'a list for the start and for each 410')
    t.match(await s.metrics(), 'quay_proxy_image_streams_restarts_total{reason="expired"} 2')
  },
  watch,
)

await scenario(
  'two replicas agree, though one has served no pull; without a list a replica is not ready',
  async (t, s) => {
    const digest = digestOf(s, 'ocp-priv_4.5_embargoed')
    s.kubernetes.fault({ kind: 'slow', delayMs: 300 })
    const second = await startUnready(s, watch)
    try {
      const early = await fetch(`${second.url}/readyz`)
      t.equal(early.status, 503)
      t.match(await early.text(), 'the ImageStreams of app.ci are not listed yet')
      s.kubernetes.fault({ kind: 'none' })
      await until(200, async () => (await fetch(`${second.url}/readyz`)).status)
      const headers = { authorization: `Bearer ${s.alice}`, accept }
      const ask = async () =>
        (await fetch(`${second.url}/v2/openshift/ci/manifests/${digest}`, { headers })).status
      t.equal(await ask(), 403, 'as soon as it is ready')
    } finally {
      await second.stop()
    }
  },
  watch,
)
