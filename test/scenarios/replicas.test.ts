/**
 * Several replicas behind one name. Each request of a pull goes to the next replica. All decide alike, also while their shared state fails.
 */
import type { Test } from 'tap'
import { readManifests } from '../../src/sandbox/app-ci/rbac.ts'
import { startFakeRedis, type FakeRedis } from '../shared-state/fake-redis.ts'
import { startAnother } from './another-replica.ts'
import { accept, manifests, scenario, type Scenario } from './scenario.ts'

interface Replicas {
  readonly redis: FakeRedis
  /** Sends a request to the next replica. */
  readonly ask: (path: string, token: string) => Promise<Answer>
  readonly urls: readonly string[]
}
interface Answer {
  readonly status: number
  readonly body: Buffer
  readonly digest: string
}

const withReplicas = async (s: Scenario, use: (replicas: Replicas) => Promise<void>): Promise<void> => {
  const redis = await startFakeRedis()
  const proxies: Awaited<ReturnType<typeof startAnother>>[] = []
  for (let number = 0; number < 3; number++)
    proxies.push(await startAnother(s, [`--shared-state=${redis.url.href}`, '--imagestreams=watch']))
  let turn = 0
  const ask = async (path: string, token: string): Promise<Answer> => {
    const { url } = proxies[turn++ % proxies.length]!
    const answer = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}`, accept } })
    return {
      status: answer.status,
      body: Buffer.from(await answer.arrayBuffer()),
      digest: answer.headers.get('docker-content-digest') ?? '',
    }
  }
  try {
    await use({ redis, ask, urls: proxies.map(({ url }) => url) })
  } finally {
    await Promise.all(proxies.map(async (proxy) => await proxy.stop()))
    await redis.close()
  }
}

/** Pulls every platform of an image, each request from the next replica. @returns the number of responses by status */
const pullAll = async ({ ask }: Replicas, repository: string, reference: string, token: string) => {
  const counts = new Map<number, number>()
  const get = async (kind: string, name: string) => {
    const answer = await ask(`/v2/${repository}/${kind}/${name}`, token)
    counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1)
    return answer
  }
  const top = await get('manifests', reference)
  if (top.status !== 200) return counts
  const index = JSON.parse(top.body.toString()) as { manifests: { digest: string }[] }
  for (const { digest } of index.manifests) {
    const child = await get('manifests', digest)
    if (child.status !== 200) continue
    const { config, layers } = JSON.parse(child.body.toString()) as {
      config: { digest: string }
      layers: { digest: string }[]
    }
    for (const blob of [config, ...layers]) await get('blobs', blob.digest)
  }
  return counts
}

const onlyOk = (t: Test, counts: ReadonlyMap<number, number>, name: string) =>
  t.strictSame([...counts.keys()], [200], name)

const digestOf = ({ stock }: Scenario, name: string): string =>
  stock.tags.find(({ tag }) => tag === name)?.digest ?? ''

await scenario('each request of a pull to another replica: the same responses as from one', async (t, s) => {
  await withReplicas(s, async (replicas) => {
    for (const [name, token, namespace, image, tag] of [
      ['QCI-wide', s.alice, 'ocp', '4.5', 'base'],
      ['a puller of one namespace', s.puller, 'my-team', 'app', 'latest'],
    ] as const) {
      const digest = digestOf(s, `${namespace}_${image}_${tag}`)
      for (const [repository, reference] of [
        [`${namespace}/${image}`, digest],
        [`${namespace}/${image}`, tag],
        ['openshift/ci', `${namespace}_${image}_${tag}`],
        ['openshift/ci', digest],
      ] as const)
        onlyOk(
          t,
          await pullAll(replicas, repository, reference, token),
          `${name}: ${repository} ${reference}`,
        )
    }
    const restricted = digestOf(s, 'ocp-priv_4.5_embargoed')
    for (const token of [s.alice, s.puller, s.mallory])
      for (let round = 0; round < replicas.urls.length; round++)
        t.equal((await replicas.ask(`/v2/openshift/ci/manifests/${restricted}`, token)).status, 403)
    t.equal(
      (await replicas.ask(`/v2/openshift/ci/manifests/${digestOf(s, 'my-team_app_latest')}`, s.mallory))
        .status,
      403,
    )
  })
})

await scenario(
  'the shared state is emptied, silent, refusing or gone: nothing opens, and pulls go on',
  async (t, s) => {
    await withReplicas(s, async (replicas) => {
      const { redis } = replicas
      const restricted = digestOf(s, 'ocp-priv_4.5_embargoed')
      const troubles: readonly (readonly [string, () => void, () => void])[] = [
        ['emptied', redis.wipe, () => undefined],
        ['silent', redis.hush, redis.speak],
        ['refusing', () => redis.refuse('OOM'), () => redis.refuse(undefined)],
        ['cut', redis.drop, () => undefined],
      ]
      for (const [name, begin, end] of troubles) {
        begin()
        onlyOk(t, await pullAll(replicas, 'ocp/4.5', 'base', s.alice), `${name}: QCI-wide`)
        const counts = await pullAll(replicas, 'my-team/app', 'latest', s.puller)
        t.notOk(
          counts.has(403),
          `${name}: a puller is told to try again, and never refused for want of knowledge`,
        )
        for (const token of [s.alice, s.puller, s.mallory]) {
          const { status } = await replicas.ask(`/v2/openshift/ci/manifests/${restricted}`, token)
          t.ok([403, 503].includes(status), `${name}: nothing opens`)
        }
        end()
      }
    })
  },
)

/** A user without a namespace who may pull from my-team. */
const newcomerOf = async (s: Scenario): Promise<string> => {
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'newcomer', namespace: 'my-team' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'newcomer' }],
  }
  s.kubernetes.replaceObjects([...(await Promise.all(manifests.map(readManifests))).flat(), binding])
  return s.remember(s.kubernetes.issueUserToken({ username: 'newcomer', groups: [] }))
}

await scenario(
  'a layer in more namespaces than one decision may review: allowed by one replica, allowed by all',
  async (t, s) => {
    await withReplicas(s, async (replicas) => {
      const newcomer = await newcomerOf(s)
      onlyOk(t, await pullAll(replicas, 'my-team/app', 'latest', s.alice), 'it is known in its namespace')
      const top = await replicas.ask('/v2/my-team/app/manifests/latest', s.alice)
      const mediaType = 'application/vnd.oci.image.index.v1+json'
      const manifest = { digest: top.digest as `sha256:${string}`, mediaType, body: top.body }
      const tags = Array.from({ length: 40 }, (_, number) => `crowd-${number}_app_latest`)
      s.quay.tagMany(tags, { ...manifest, manifests: [manifest], blobs: new Map() })
      for (const tag of tags)
        t.equal((await replicas.ask(`/v2/openshift/ci/manifests/${tag}`, s.alice)).status, 200)
      const counts = await pullAll(replicas, 'openshift/ci', 'my-team_app_latest', newcomer)
      t.ok(counts.has(200) && !counts.has(403), 'and in 40 more')
      const asked = await replicas.ask(`/v2/openshift/ci/manifests/${top.digest}`, s.mallory)
      t.ok([403, 503].includes(asked.status), 'who has no right is let in nowhere')
    })
  },
)
