/** The images, people and faults of the bad requesters, in addition to the image of the good ones. */
import { createHash } from 'node:crypto'
import { readManifests, type KubernetesObject } from '../../../src/sandbox/app-ci/rbac.ts'
import type { Content } from '../../../src/sandbox/quay/images.ts'
import type { Quay } from '../../../src/sandbox/quay/quay.ts'
import type { HostileInput, HostileKind } from '../clients/hostile.ts'
import type { AppCi } from './app-ci.ts'
import { tagImage } from './quay.ts'

export interface Bad extends Omit<HostileInput, 'port'> {
  readonly label: string
}

/** The network of the routers: the proxy trusts the addresses that they forward. */
export const trustedAddress = '127.0.0.3'
const elsewhere = '127.0.0.2'
/** The network of the good requesters. */
const beside = '127.0.0.1'

const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const digestOf = (text: string): `sha256:${string}` =>
  `sha256:${createHash('sha256').update(text).digest('hex')}`

/** A manifest with this many descriptors, of layers that nobody requests. */
const wide = (name: string, descriptors: number, annotation = ''): Content => {
  const layers = Array.from({ length: descriptors }, (_, index) => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    digest: digestOf(`${name} ${index}`),
    size: 1000,
  }))
  const body = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(name), size: 2 },
      layers,
      annotations: { annotation },
    }),
  )
  const manifest = { digest: digestOf(body.toString()), mediaType: manifestType, body }
  return { ...manifest, manifests: [manifest], blobs: new Map() }
}

/** More than the manifest cache holds, so that each is fetched. */
const largeBytes = 3_000_000
const large = 60
const streams = 40
const broken = 6
const tags = 20_000

const account = { namespace: 'team', name: 'searcher' }
const binding = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: 'searcher', namespace: 'team' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
  subjects: [{ kind: 'ServiceAccount', ...account }],
} as KubernetesObject

/** Adds all of it to quay and app.ci. */
export const stockHostile = async ({ api, issue }: AppCi, quay: Quay): Promise<readonly Bad[]> => {
  const image = await tagImage(quay, 'open_broken_latest', {
    platforms: ['linux/amd64'],
    layers: broken,
    layerBytes: 1024,
  })
  const blobs = [...image.blobs.keys()].slice(0, broken)
  for (const digest of blobs)
    quay.fault({ origin: 'cdn', path: new RegExp(digest.slice(7)), status: 502, count: Infinity })
  for (let index = 0; index < large; index++)
    quay.tag(`open_large_${index}`, wide(`large ${index}`, 1, 'x'.repeat(largeBytes)))
  const many = wide('many', 1999)
  for (let index = 0; index < streams; index++) quay.tag(`open_many-${index}_latest`, many)
  quay.tagMany(
    Array.from({ length: tags }, (_, index) => `open_tag_${index}`),
    many,
  )
  quay.tagMany(
    Array.from({ length: 200 }, (_, index) => `team_app_${index}`),
    image,
  )
  const rbac = (await Promise.all(['manifests/rbac', 'manifests/examples'].map(readManifests))).flat()
  api.replaceObjects([...rbac, binding])
  const mallory = api.issueUserToken({ username: 'mallory', groups: [] })
  const insider = issue('insider')
  const searcher = api.issueServiceAccountToken({ ...account, expiresInSeconds: 86_400 })
  const bad = (kind: HostileKind, label: string, connections: number, more: Partial<Bad> = {}): Bad => ({
    kind,
    label,
    connections,
    from: elsewhere,
    token: insider,
    paths: [],
    ...more,
  })
  return [
    bad('forwarded', '60 kB of X-Forwarded-For, 3 connections', 3, { from: trustedAddress }),
    bad('namespaces', 'made-up namespaces, 600 connections', 600, { token: mallory }),
    bad('broken-blobs', 'six broken blobs, 40 connections', 40, {
      paths: blobs.map((digest) => `open/broken/blobs/${digest}`),
    }),
    bad('forms', 'half-sent forms, 3000', 3000),
    bad('idle', 'idle connections, 5000', 5000),
    bad('tokens', 'made-up tokens from the address of the good ones, 20 connections', 20, { from: beside }),
    bad('unread', 'manifests of 3 MB that nobody reads, 100 connections', 100, {
      paths: Array.from({ length: large }, (_, index) => `open/large/manifests/${index}`),
    }),
    bad('descriptors', 'a manifest of 2000 descriptors in 40 streams, 10 connections', 10, {
      paths: Array.from({ length: streams }, (_, index) => `open/many-${index}/manifests/latest`),
    }),
    bad('digests', 'digests that nobody knows, 20 connections', 20, { token: searcher, paths: ['team/app'] }),
    bad('tag-lists', `a list of ${tags} tags, over and over, 10 connections`, 10, {
      paths: Array.from(
        { length: 20 },
        (_, index) => `openshift/ci/tags/list?n=1000&last=open_tag_${index * 900}`,
      ),
    }),
  ]
}
