/**
 * A configuration of the mirror made like the one in production: its sizes, its spellings and its odd entries, with other names. Targets
 * are about 600.
 * @see https://github.com/openshift/release/blob/main/core-services/image-mirroring/_config.yaml
 */

/** How the image of a source is made up. */
export type ImageForm =
  'oci' | 'docker' | 'index' | 'list' | 'windows list' | 'nested index' | 'foreign layer'

export interface SourceImage {
  readonly host: string
  readonly repository: string
  readonly tag: string
  readonly form: ImageForm
}

export interface ArtStream {
  readonly namespace: string
  readonly name: string
  readonly tags: readonly string[]
}

export interface ProductionMirror {
  /** Each once, however many targets it has. Those of ImageStreams are on `registry.ci.openshift.org`. */
  readonly sources: readonly SourceImage[]
  readonly streams: readonly ArtStream[]
  /** @param digestOf of a source: some entries are pinned */
  readonly yaml: (digestOf: (source: SourceImage) => string) => string
  /** Floats in QCI, and images of app.ci, that a pass brings. */
  readonly counts: { readonly intoQci: number; readonly ontoAppCi: number; readonly leftOut: number }
}

const appCi = 'registry.ci.openshift.org'

/** Host, number of entries, group of the targets. The big groups are many tags of few repositories. */
const groups: readonly (readonly [host: string, count: number, target: string, source: string])[] = [
  ['quay.io', 69, 'cert-manager/part', 'jetstack/cert-manager-part'],
  ['quay.io', 53, 'stackrox/apollo-ci', 'stackrox-io/apollo-ci'],
  ['quay.io', 37, 'stackrox/automation-flavors', 'stackrox-io/automation-flavors'],
  ['quay.io', 21, 'hyperconverged/part', 'kubevirt/part'],
  ['quay.io', 19, 'maistra/maistra-builder', 'maistra-dev/maistra-builder'],
  ['quay.io', 15, 'konveyor/part', 'konveyor/part'],
  ['quay.io', 14, 'openshift/boilerplate', 'redhat-appstudio/boilerplate'],
  ['quay.io', 14, 'assisted/index', 'edge-infrastructure/assisted-service-index'],
  ['quay.io', 180, 'ci/tool', 'openshiftci/tool'],
  ['registry.access.redhat.com', 37, 'ocp/ubi', 'ubi9/ubi'],
  ['registry.istio.io', 7, 'istio/part', 'release/part'],
  ['us.icr.io', 5, 'ibm/part', 'armada/part'],
  ['mcr.microsoft.com', 4, 'microsoft/tool', 'oss/tool'],
  ['registry.k8s.io', 5, 'k8s/part', 'sig/part'],
  ['registry.fedoraproject.org', 5, 'fedora/part', 'f40/part'],
  ['ghcr.io', 2, 'ghcr/part', 'org/part'],
  ['gcr.io', 1, 'gcr/part', 'project/part'],
]
/** Groups in which each entry has a repository of its own. The others have a tag for each. */
const isByName = (target: string): boolean => /part|tool/.test(target)

const forms: readonly ImageForm[] = ['oci', 'docker', 'index', 'list', 'oci', 'docker', 'list']

interface Entry {
  readonly target: string
  readonly source: SourceImage
  readonly spelling: 'flow' | 'block' | 'quoted' | 'pinned' | 'stream' | 'commented'
}

const spellings: readonly Entry['spelling'][] = [
  'block',
  'block',
  'quoted',
  'flow',
  'block',
  'commented',
  'block',
  'pinned',
]

const source = (host: string, repository: string, tag: string, form: ImageForm = 'oci'): SourceImage => ({
  host,
  repository,
  tag,
  form,
})

const grouped = (): readonly Entry[] => {
  let count = 0
  return groups.flatMap(([host, size, target, repository]) =>
    Array.from({ length: size }, (_, index): Entry => {
      count += 1
      const isOwn = isByName(target)
      const version = `v1.${index}`
      return {
        target: `${target}${isOwn ? `-${index}` : ''}:${isOwn ? 'latest' : version}`,
        source: source(
          host,
          `${repository}${isOwn ? `-${index}` : ''}`,
          version,
          forms[count % forms.length],
        ),
        spelling: spellings[count % spellings.length] as Entry['spelling'],
      }
    }),
  )
}

const lint = source('quay.io', 'openshiftci/golangci-lint', 'v2.10.1', 'list')
const ubi = source('registry.access.redhat.com', 'ubi8/ubi-minimal', 'latest', 'list')

/** One source with many targets, a floating name with a pinned source, names that app.ci cannot have, and images without linux/amd64. */
const odd: readonly Entry[] = [
  ['ci/golangci-lint:latest', lint],
  ['ci/golangci-lint:v2.10.1', lint],
  ['ocp/ubi-minimal:8', ubi],
  ['origin/ubi-minimal:8', ubi],
  ['stackrox/ubi-minimal:9', ubi],
  [
    'ci/clonerefs:latest',
    source('us-docker.pkg.dev', 'k8s-infra-prow/images/clonerefs', 'v20260908-abc', 'index'),
  ],
  ['rh_xx_yyy/aro-hcp-e2e-base:v1.0', source('quay.io', 'aro/e2e-base', 'v1.0')],
  ['ci/rh_jdk_ocp_testsuite:latest', source('quay.io', 'jdk/testsuite', 'latest')],
  ['ci/xpaas-qe:7.11.x-openjdk1.8_local', source('quay.io', 'xpaas/qe', '7.11.x-openjdk1.8_local')],
  [
    'ci/minio:RELEASE.2025-09-07T16-13-09Z',
    source('quay.io', 'minio/minio', 'RELEASE.2025-09-07T16-13-09Z', 'nested index'),
  ],
  [
    'microsoft/powershell:lts-nanoserver-1809',
    source('mcr.microsoft.com', 'powershell', 'lts-nanoserver-1809', 'windows list'),
  ],
  [
    'ocp/4.22:rhel-coreos-next',
    source('quay.io', 'openshift-release-dev/ocp-v4.0-art-dev', '4.22-9.8-node-image', 'index'),
  ],
  ['ci/windows:ltsc2022', source('quay.io', 'windows/servercore', 'ltsc2022', 'foreign layer')],
].map(([target, image]) => ({ target, source: image, spelling: 'block' }) as Entry)

/** References by ImageStreams: some of themselves, and some whose source has two targets. */
const byStream: readonly Entry[] = [
  ['openshift/fedora:31', 'openshift/fedora:31'],
  ['coreos/stream-coreos-base:9', 'coreos/stream-coreos-base:9'],
  ['coreos/rhel-coreos-base:9.6', 'coreos/rhel-coreos-base:9.6'],
  ...Array.from({ length: 7 }, (_, index) => [
    `edge-infrastructure/v2.40:service-${index}`,
    `edge-infrastructure/ocm-2.15:service-${index}`,
  ]),
  ...Array.from({ length: 7 }, (_, index) => [
    `edge-infrastructure/v2.41:service-${index}`,
    `edge-infrastructure/ocm-2.15:service-${index}`,
  ]),
].map(([target = '', from = '']) => {
  const [repository = '', tag = ''] = from.split(':')
  return { target, source: source(appCi, repository, tag, 'docker'), spelling: 'stream' }
})

const ignoredTools = [3, 30, 60, 90, 120, 150].map((index) => `openshiftci/tool-${index}:v1.${index}`)

const streams: readonly ArtStream[] = [
  {
    namespace: 'openshift',
    name: 'release',
    tags: Array.from({ length: 30 }, (_, index) => `golang-1.${index}`),
  },
  { namespace: 'openshift', name: 'release-old', tags: ['golang-1.4'] },
  {
    namespace: 'ocp',
    name: 'builder',
    tags: Array.from({ length: 9 }, (_, index) => `rhel-9-golang-1.${index}`),
  },
  { namespace: 'ocp-priv', name: 'builder', tags: ['rhel-9-golang-1.25'] },
  { namespace: 'origin', name: 'scos-4.20', tags: ['stream-coreos', 'stream-coreos-extensions'] },
  ...['4.20', '4.21', '4.22'].map((name) => ({
    namespace: 'ocp',
    name,
    tags: ['rhel-coreos', 'rhel-coreos-extensions', 'rhel-coreos-next', 'base-rhel9', 'cli'],
  })),
  { namespace: 'ocp-priv', name: '4.20-priv', tags: ['rhel-coreos'] },
]
const art = `artImages:
- namespace: openshift
  name: ^release$
- namespace: ocp
  name: ^builder$
- namespace: ocp-priv
  name: ^builder$
- namespace: origin
  name: ^scos.*
- namespace: ocp
  name: ^\\d+\\.\\d+$
  tag: ^rhel-coreos.*
- namespace: ocp-priv
  name: ^\\d+\\.\\d+$
  tag: ^rhel-coreos.*
- namespace: ocp
  name: ^\\d+\\.\\d+$
  tag: ^base-rhel.*$
- namespace: ocp-priv
  name: ^\\d+\\.\\d+$
  tag: ^base-rhel.*$
`
/** Of ART: 30 + 9 + 1 + 2 + 12, without the 8 that go the other way and the one that an entry names. */
const artTargets = 54 - 8 - 1

/** Images of builds, which are in QCI alone; and 8 that ART's patterns match, too. */
const backfilled: readonly string[] = [
  ...Array.from({ length: 28 }, (_, index) => `ocp/5.0:component-${index}`),
  ...Array.from({ length: 8 }, (_, index) => `openshift/release:golang-1.${index}`),
]

const yamlOf = (
  { target, source: image, spelling }: Entry,
  digestOf: (image: SourceImage) => string,
): string => {
  const { host, repository, tag } = image
  const text = `${host}/${repository}:${tag}`
  if (spelling === 'flow') return `  ${target}: {image: "${text}"}\n`
  if (spelling === 'quoted') return `  "${target}":\n    image: '${text}'\n`
  if (spelling === 'pinned') return `  ${target}:\n    image: ${host}/${repository}@${digestOf(image)}\n`
  if (spelling === 'commented')
    return `  # moved by a bot\n  ${target}:\n    # see the ticket\n    image: ${text}\n`
  if (spelling === 'block') return `  ${target}:\n    image: ${text}\n`
  const [namespace, name] = repository.split('/')
  return `  ${target}:\n    namespace: ${namespace}\n    name: ${name}\n    tag: "${tag}"\n`
}

export const productionMirror = (): ProductionMirror => {
  // In no order, as people add them.
  const entries = [...grouped().map(unpinned), ...odd, ...byStream].toSorted((one, other) =>
    reversed(one.target).localeCompare(reversed(other.target), 'en'),
  )
  const named = entries.map(({ source: image }) => image)
  const ofArt = streams.flatMap(({ namespace, name, tags }) =>
    tags.map((tag, index) => source(appCi, `${namespace}/${name}`, tag, index % 3 === 0 ? 'list' : 'docker')),
  )
  const ofBuilds = backfilled.map((target) =>
    source('quay.io', 'openshift/ci', target.replaceAll(/[/:]/g, '_'), 'docker'),
  )
  const all = [...named, ...ofArt, ...ofBuilds]
  const keyOf = ({ host, repository, tag }: SourceImage) => `${host}/${repository}:${tag}`
  const ownStreams = byStream.map(({ source: { repository, tag } }) => {
    const [namespace = '', name = ''] = repository.split('/')
    return { namespace, name, tags: [tag] }
  })
  return {
    sources: [...new Map(all.map((image) => [keyOf(image), image])).values()],
    streams: merged([...streams, ...ownStreams]),
    yaml: (digestOf) =>
      [
        'supplementalCIImages:\n',
        ...entries.map((entry) => yamlOf(entry, digestOf)),
        'qciToAppCIImages:\n',
        ...backfilled.map((target) => `  ${target}: {}\n`),
        'ignoredSources:\n',
        ...ignoredTools.map((image) => `- image: quay.io/${image}\n  reason: broken image\n`),
        art,
      ].join(''),
    counts: {
      intoQci: entries.length - ignoredTools.length + artTargets,
      ontoAppCi: backfilled.length,
      leftOut: ignoredTools.length + 9,
    },
  }
}

/** What is ignored is named by its tag. */
const unpinned = (entry: Entry): Entry => {
  const { repository, tag } = entry.source
  return ignoredTools.includes(`${repository}:${tag}`) ? { ...entry, spelling: 'block' } : entry
}

const reversed = (text: string): string => text.split('').toReversed().join('')

const merged = (parts: readonly ArtStream[]): readonly ArtStream[] => {
  const byName = new Map<string, ArtStream>()
  for (const { namespace, name, tags } of parts) {
    const key = `${namespace}/${name}`
    byName.set(key, { namespace, name, tags: [...new Set([...(byName.get(key)?.tags ?? []), ...tags])] })
  }
  return [...byName.values()]
}
