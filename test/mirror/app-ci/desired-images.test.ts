import t from 'tap'
import { allDesiredImages } from '../../../src/mirror/app-ci/desired-images.ts'
import type { CurrentImage, CurrentImages } from '../../../src/mirror/app-ci/current-images.ts'
import type { StreamImages } from '../../../src/mirror/app-ci/stream-lists.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { hex } from '../../kubernetes/watching.ts'
import { configOf } from '../validation/entries.ts'

await t.test('all sections; tags of ImageStreams are pinned', (t) => {
  const config = configOf(`supplementalCIImages:
  ocp/ubi:9: {image: registry.access.redhat.com/ubi9/ubi:latest}
  coreos/base:9.6: {namespace: coreos, name: base, tag: "9.6"}
  coreos/base:9.7: {namespace: coreos, name: base, tag: "9.7"}
  coreos/base:9.8: {namespace: coreos, name: base, tag: "9.8"}
  coreos/gone:1: {namespace: coreos, name: gone, tag: "1"}
  ci/pinned:v1: {image: "registry.ci.openshift.org/coreos/base@${hex('d')}"}
  ci/fedora:latest: {image: fedora}
artImages: [{namespace: openshift, name: ^release$}]
qciToAppCIImages: {ocp/5.0:cli: {}}
`)
  const streams: StreamImages = new Map<string, CurrentImages>([
    [
      'coreos/base',
      new Map<string, CurrentImage>([
        ['9.6', hex('a') as Digest],
        ['9.7', 'none'],
        ['9.8', 'reference'],
      ]),
    ],
    ['openshift/release', new Map<string, CurrentImage>([['golang', hex('b') as Digest]])],
  ])
  const { images, leftOut } = allDesiredImages(config, streams)
  t.strictSame(
    images.map(({ target, source }) => `${target} ${source.tag} ${source.digest ?? ''}`),
    [
      'ocp/ubi:9 latest ',
      `coreos/base:9.6 9.6 ${hex('a')}`,
      'coreos/base:9.8 9.8 ',
      'coreos/gone:1 1 ',
      `ci/pinned:v1 undefined ${hex('d')}`,
      `openshift/release:golang golang ${hex('b')}`,
      'registry.ci.openshift.org/ocp/5.0:cli ocp_5.0_cli ',
    ],
  )
  t.strictSame(
    leftOut.map(({ target, reason }) => `${target}: ${reason}`),
    [
      'ci/fedora:latest: docker.io/library/fedora:latest is from docker.io',
      'coreos/base:9.7: the ImageStream tag coreos/base:9.7 has no image: its import failed, or nothing was pushed to it',
    ],
  )
  t.end()
})
