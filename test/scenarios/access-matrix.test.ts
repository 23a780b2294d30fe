/**
 * A generated matrix of access: every family of tags, in an open and in a restricted namespace, for every kind of requester and every
 * part of an image, on a replica that has just started, on one that has served the image, and on one after a restart. `expected` tells
 * the right answer. It knows the rules of access, and nothing of the code of the proxy.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { readManifests } from '../../src/sandbox/app-ci/rbac.ts'
import { buildImage, type Image } from '../../src/sandbox/quay/images.ts'
import { startAnother } from './another-replica.ts'
import { s3FlagsFor, startS3 } from '../support/s3-server.ts'
import { until } from '../support/until.ts'
import { accept, manifests, scenario, type Scenario } from './scenario.ts'

type Namespace = 'team' | 'secret-priv'
const namespaces: readonly Namespace[] = ['team', 'secret-priv']
type Requester = 'qci-wide' | 'puller' | 'puller of another' | 'nobody' | 'robot'
type Target = 'tag' | 'digest' | 'child' | 'config' | 'layer' | 'listed'
const targets: readonly Target[] = ['tag', 'digest', 'child', 'config', 'layer', 'listed']

/** Families of tags that belong to the namespace in their name. */
const owned = (namespace: Namespace): Readonly<Record<string, string>> => ({
  plain: `${namespace}_plain_latest`,
  pruned: `20240101120000_prune_${namespace}_pruned_latest`,
  'pruned by the mirror': `20240101120000_prune___ci_images_mirror__${namespace}_mirrored_latest`,
  art: `art__${namespace}_art_latest`,
  'pruned art': `20240101120000_prune_art__${namespace}_pruned-art_latest`,
  incoming: `${namespace}_incoming_latest_incoming`,
  before: `${namespace}_before_latest__pre`,
  after: `${namespace}_after_latest__post1`,
})

/** Families of tags without an owner. In the restricted row the image also has a tag of the restricted namespace. */
const nobodys: Readonly<Record<string, string>> = {
  'art by digits': 'art__0123456789abcdef',
  'art builder': 'art-builder-0123456789abcdef',
  payload: 'rc_payload__4.19.0-0.ci',
  component: 'rc_payload__4.19.0-0.ci__component__etcd',
  preserved: 'preserved__rc_payload__4.18.0-0.ci',
  removed: 'remove__rc_payload__4.17.0-0.ci',
}

interface Row {
  readonly family: string
  readonly namespace: Namespace
  readonly owner: 'namespace' | 'nobody'
  readonly tag: string
  readonly image: Image
}

const small = {
  platforms: ['linux/amd64', 'linux/arm64'],
  layers: 1,
  layerBytes: 512 as number,
  format: 'oci',
} as const

const rowsOf = async (s: Scenario, layerBytes = small.layerBytes): Promise<readonly Row[]> => {
  const rows: Row[] = []
  for (const namespace of namespaces) {
    for (const [family, tag] of Object.entries(owned(namespace)))
      rows.push({
        family,
        namespace,
        owner: 'namespace',
        tag,
        image: await buildImage({ ...small, layerBytes, name: tag }),
      })
    for (const [family, base] of Object.entries(nobodys)) {
      const tag = namespace === 'team' ? base : base.replace(/(.)$/, '$1x').replace('abcdefx', 'abcdee')
      rows.push({
        family,
        namespace,
        owner: 'nobody',
        tag,
        image: await buildImage({ ...small, layerBytes, name: tag }),
      })
    }
  }
  for (const { tag, image, owner, namespace, family } of rows) {
    s.quay.tag(tag, image)
    if (owner === 'nobody' && namespace === 'secret-priv')
      s.quay.tag(`secret-priv_behind_${family.replaceAll(' ', '-')}`, image)
  }
  return rows
}

/** What the rules of access say. */
const expected = ({ owner, namespace }: Row, requester: Requester, target: Target): boolean => {
  if (requester === 'robot') return true
  if (requester === 'nobody' || requester === 'puller of another') return false
  const isRestricted = namespace === 'secret-priv'
  if (requester === 'qci-wide') return !isRestricted || (owner === 'nobody' && target === 'listed')
  // A puller may pull an image without an owner only where a tag of the namespace reaches it.
  if (owner === 'nobody') return isRestricted && !['tag', 'listed'].includes(target)
  return true
}

const pathOf = ({ tag, image }: Row, target: Target): string => {
  const child = [...image.platforms.values()][0] ?? ''
  const manifest = JSON.parse(
    image.manifests.find(({ digest }) => digest === child)?.body.toString() ?? '',
  ) as { config: { digest: string }; layers: { digest: string }[] }
  const monorepo = '/v2/openshift/ci'
  const last = {
    tag,
    digest: image.digest,
    child,
    config: manifest.config.digest,
    layer: manifest.layers[0]?.digest,
  }
  if (target === 'listed') return `${monorepo}/tags/list?n=100&last=${tag.slice(0, -1)}`
  return `${monorepo}/${target === 'config' || target === 'layer' ? 'blobs' : 'manifests'}/${last[target]}`
}

const grant = (namespace: string, account: string) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: `puller-${account}`, namespace },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
  subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
})

type Ask = (
  path: string,
  authorization: string,
) => Promise<{ readonly status: number; readonly body: string }>

const askOf =
  (url: string): Ask =>
  async (path, authorization) => {
    const answer = await fetch(`${url}${path}`, { headers: { authorization, accept } })
    return { status: answer.status, body: await answer.text() }
  }

const authorizations = (s: Scenario, { namespace }: Pick<Row, 'namespace'>): Record<Requester, string> => {
  const account = (name: string) =>
    `Bearer ${s.remember(s.kubernetes.issueServiceAccountToken({ namespace: name, name: 'puller' }))}`
  const basic = Buffer.from(`${s.robot.username}:${s.robot.password}`).toString('base64')
  return {
    'qci-wide': `Bearer ${s.alice}`,
    puller: account(namespace),
    'puller of another': account('other'),
    nobody: `Bearer ${s.mallory}`,
    robot: `Basic ${basic}`,
  }
}

const isGiven = async (
  ask: Ask,
  row: Row,
  target: Target,
  authorization: string,
): Promise<boolean | number> => {
  const { status, body } = await ask(pathOf(row, target), authorization)
  if (target === 'listed')
    return status === 200 ? (JSON.parse(body) as { tags: string[] }).tags.includes(row.tag) : status
  return status === 200 ? true : status === 403 ? false : status
}

const setUp = async (s: Scenario, layerBytes?: number) => {
  const base = (await Promise.all(manifests.map(readManifests))).flat()
  s.kubernetes.replaceObjects([
    ...base,
    ...['team', 'secret-priv', 'other'].map((namespace) => grant(namespace, 'puller') as never),
  ])
  return await rowsOf(s, layerBytes)
}

type Check = (name: string, ask: Ask, tagsFirst: boolean) => Promise<void>

const checkOf = (t: Test, s: Scenario, rows: readonly Row[]): { check: Check; cells: () => number } => {
  let cells = 0
  const check: Check = async (name, ask, tagsFirst) => {
    for (const row of rows) {
      const shown = authorizations(s, row)
      // A pull by tag of a requester with access makes the facts. Without them, a puller may pull no digest of an open tag.
      if (tagsFirst) {
        await ask(pathOf(row, 'tag'), shown.robot)
        await ask(pathOf(row, 'child'), shown.robot)
      }
      const requesters = Object.keys(shown) as Requester[]
      const wanted = requesters.flatMap((requester) => targets.map((target) => ({ requester, target })))
      const answers = await Promise.all(
        wanted.map(async ({ requester, target }) => ({
          requester,
          target,
          given: await isGiven(ask, row, target, shown[requester]),
        })),
      )
      for (const { requester, target, given } of answers) {
        const isOpenDigest = row.namespace === 'team' && !['tag', 'listed'].includes(target)
        if (!tagsFirst && requester === 'puller' && isOpenDigest) continue
        cells += 1
        t.equal(given, expected(row, requester, target), `${name}: ${row.tag}, ${requester}, ${target}`)
      }
    }
  }
  return { check, cells: () => cells }
}

await scenario(
  'every family x namespace x requester x target, on a warm replica and on fresh ones',
  async (t, s) => {
    const { check, cells } = checkOf(t, s, await setUp(s))
    const first = await startAnother(s)
    const second = await startAnother(s)
    try {
      await check('fresh', askOf(first.url), false)
      await check('warm', askOf(first.url), true)
      await check('another replica', askOf(second.url), false)
      t.ok(cells() > 2000, `${cells()} cells`)
    } finally {
      await Promise.all([first.stop(), second.stop()])
    }
  },
)

const folderFor = (t: Test): string => {
  const path = mkdtempSync(join(tmpdir(), 'quay-proxy-cache-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** GETs of blobs that reach quay. */
const blobRequests = (s: Scenario) => s.quay.requests.filter(({ url }) => url.includes('/blobs/')).length

await scenario(
  'the same with everything in the cache, also of an earlier life: the same answers',
  async (t, s) => {
    const rows = await setUp(s)
    const { check, cells } = checkOf(t, s, rows)
    const s3 = await startS3(t)
    const flags = [`--cache-dir=${folderFor(t)}`, ...s3FlagsFor(t, s3)]
    const first = await startAnother(s, flags)
    await check('filling', askOf(first.url), true)
    await check('warm', askOf(first.url), true)
    const blobs = new Set(rows.flatMap(({ image }) => [...image.blobs.keys()]))
    // What a client may not have yet is in the store all the same.
    const [robot] = rows.map((row) => authorizations(s, row).robot)
    for (const digest of blobs) await askOf(first.url)(`/v2/openshift/ci/blobs/${digest}`, robot ?? '')
    const uploaded = () => [...s3.objects.keys()].filter((key) => key.startsWith('blobs/')).length
    await until(() => uploaded() === blobs.size)
    await first.stop()
    const before = blobRequests(s)
    const second = await startAnother(s, flags)
    await check('after a restart', askOf(second.url), false)
    await second.stop()
    // Every other family, of both namespaces: from S3, to a disk that is empty.
    const some = checkOf(
      t,
      s,
      rows.filter((_, index) => index % 2 === 0),
    )
    const third = await startAnother(s, [`--cache-dir=${folderFor(t)}`, ...s3FlagsFor(t, s3)])
    await some.check('from S3', askOf(third.url), false)
    await third.stop()
    t.equal(blobRequests(s), before, 'all bytes came from the disk, and from S3')
    t.ok(cells() > 2000, `${cells()} cells`)
    t.ok(some.cells() > 300, `${some.cells()} cells from S3`)
  },
)

await scenario('while a fill runs, nobody follows it who may not have the blob', async (t, s) => {
  // Larger than the bytes that are held back until the digest is checked, so that clients get the head at once.
  const rows = await setUp(s, 60_000)
  const proxy = await startAnother(s, [`--cache-dir=${folderFor(t)}`])
  const chosen = rows.filter(({ family }) => family === 'plain' || family === 'payload')
  t.equal(chosen.length, 4)
  for (const row of chosen) {
    const shown = authorizations(s, row)
    const path = pathOf(row, 'layer')
    for (const target of ['tag', 'child'] as const) await askOf(proxy.url)(pathOf(row, target), shown.robot)
    s.quay.fault({ origin: 'cdn', path: /./, stallAfterBytes: 50_000 })
    const gone = new AbortController()
    const headOf = async (requester: Requester): Promise<number> =>
      (
        await fetch(`${proxy.url}${path}`, {
          headers: { authorization: shown[requester] },
          signal: gone.signal,
        })
      ).status
    const before = blobRequests(s)
    t.equal(await headOf('robot'), 200)
    for (const requester of Object.keys(shown) as Requester[])
      t.equal(
        (await headOf(requester)) === 200,
        expected(row, requester, 'layer'),
        `${row.tag}, ${requester}, while it is filled`,
      )
    t.equal(blobRequests(s), before + 1, 'those who may have it follow the one fill')
    gone.abort()
  }
  await proxy.stop()
})
