import t from 'tap'
import { artImages } from '../../../src/mirror/app-ci/art-images.ts'
import type { CurrentImage } from '../../../src/mirror/app-ci/current-images.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { hex } from '../../kubernetes/watching.ts'
import { configOf } from '../validation/entries.ts'

const digest = hex('a') as Digest
const streamsOf = (streams: Readonly<Record<string, Readonly<Record<string, CurrentImage>>>>) =>
  new Map(Object.entries(streams).map(([key, tags]) => [key, new Map(Object.entries(tags))]))

await t.test('tags that match the patterns are pinned', (t) => {
  const config = configOf(`artImages:
  - {namespace: openshift, name: ^release$}
  - {namespace: ocp, name: '^\\d+\\.\\d+$', tag: ^rhel-coreos.*}
  - {namespace: ocp, name: '^4\\.20$', tag: ^rhel-coreos$}
`)
  const { images, leftOut } = artImages(
    config,
    streamsOf({
      'openshift/release': { 'golang-1.24': digest, 'golang-1.25': 'reference' },
      'openshift/release-old': { 'golang-1.10': digest },
      'ocp/4.20': { 'rhel-coreos': digest, cli: digest },
      'ocp/builder': { latest: digest },
      'origin/release': { latest: digest },
    }),
  )
  t.strictSame(leftOut, [])
  t.strictSame(images, [
    {
      target: 'openshift/release:golang-1.24',
      float: 'openshift_release_golang-1.24',
      source: {
        registry: 'registry.ci.openshift.org',
        repository: 'openshift/release',
        tag: 'golang-1.24',
        digest,
      },
    },
    {
      target: 'openshift/release:golang-1.25',
      float: 'openshift_release_golang-1.25',
      source: {
        registry: 'registry.ci.openshift.org',
        repository: 'openshift/release',
        tag: 'golang-1.25',
        digest: undefined,
      },
    },
    {
      target: 'ocp/4.20:rhel-coreos',
      float: 'ocp_4.20_rhel-coreos',
      source: { registry: 'registry.ci.openshift.org', repository: 'ocp/4.20', tag: 'rhel-coreos', digest },
    },
  ])
  t.end()
})

await t.test('images that are left out, each with its reason', (t) => {
  const config = configOf(`artImages:
  - {namespace: ocp, name: .*}
supplementalCIImages:
  ocp/4.22:rhel-coreos-next: {image: quay.io/openshift-release-dev/art:4.22}
qciToAppCIImages:
  ocp/5.0:cli: {}
ignoredSources:
  - {namespace: ocp, name: builder, tag: broken, reason: broken image}
`)
  const long = 'x'.repeat(90)
  const { images, leftOut } = artImages(
    config,
    streamsOf({
      'ocp/4.22': { 'rhel-coreos-next': digest },
      'ocp/5.0': { cli: digest },
      'ocp/builder': { broken: digest, failed: 'none', [long]: digest, 'a b': digest },
      'ocp/a_b': { c: digest },
      'ocp/a': { b_c: digest },
    }),
  )
  t.strictSame(
    images.map(({ target }) => target),
    ['ocp/a_b:c'],
  )
  t.match(leftOut, [
    {
      target: 'ocp/4.22:rhel-coreos-next',
      reason: 'supplementalCIImages[ocp/4.22:rhel-coreos-next] names it, which wins',
    },
    { target: 'ocp/5.0:cli', reason: 'qciToAppCIImages[ocp/5.0:cli] names it, which wins' },
    {
      target: 'ocp/builder:broken',
      reason: 'registry.ci.openshift.org/ocp/builder:broken is ignored: broken image',
    },
    { target: 'ocp/builder:failed', reason: /has no image/ },
    { target: `ocp/builder:${long}`, reason: /too long for a tag with a prune name/ },
    { target: 'ocp/builder:a b', reason: 'ocp_builder_a b is not a tag' },
    { target: 'ocp/a:b_c', reason: 'ocp/a_b:c has the same tag in QCI, ocp_a_b_c' },
  ])
  t.end()
})
