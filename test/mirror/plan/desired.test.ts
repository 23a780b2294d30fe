import t from 'tap'
import { desiredImages } from '../../../src/mirror/plan/desired.ts'
import { configOf } from '../validation/entries.ts'

await t.test('images that QCI should have, and images that are left out', async (t) => {
  const { images, leftOut } = desiredImages(
    configOf(`supplementalCIImages:
  ocp/ubi:9: {image: registry.access.redhat.com/ubi9/ubi:latest}
  coreos/base:9.6: {namespace: coreos, name: base, tag: "9.6"}
  ci/fedora:latest: {image: quay.io/fedora/fedora:latest}
  ci/busybox:latest: {image: busybox}
ignoredSources:
  - {image: quay.io/fedora/fedora:latest, reason: broken image}
`),
  )
  t.match(images, [
    { target: 'ocp/ubi:9', float: 'ocp_ubi_9', source: { registry: 'registry.access.redhat.com' } },
    {
      target: 'coreos/base:9.6',
      source: { registry: 'registry.ci.openshift.org', repository: 'coreos/base' },
    },
  ])
  t.match(leftOut, [
    { target: 'ci/fedora:latest', reason: 'quay.io/fedora/fedora:latest is ignored: broken image' },
    { target: 'ci/busybox:latest', reason: 'docker.io/library/busybox:latest is from docker.io' },
  ])
})
