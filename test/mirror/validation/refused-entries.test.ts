import t from 'tap'
import { backfillImages } from '../../../src/mirror/app-ci/backfill-images.ts'
import { desiredImages } from '../../../src/mirror/plan/desired.ts'
import { refusedEntries } from '../../../src/mirror/validation/refused-entries.ts'
import { configOf } from './entries.ts'

await t.test('attack: targets that would be another tag, a copy or a circle', (t) => {
  const config = configOf(`supplementalCIImages:
  ocp/ubi:9: {image: quay.io/a/b:c}
  "ocp/ubi:9?x": {image: quay.io/a/b:c}
  "ocp/ubi:9#x": {image: quay.io/a/b:c}
  "ocp/ubi:9%2f": {image: quay.io/a/b:c}
  "20200101000000/prune_ocp_ubi:9": {image: quay.io/a/b:c}
  ocp/${'x'.repeat(90)}:9: {image: quay.io/a/b:c}
  openshift/fedora:31: {image: quay.io/openshift/ci:openshift_fedora_31}
  rh_x/ubi:9: {image: quay.io/a/b:c}
qciToAppCIImages:
  ocp/5.0:cli: {}
  "ocp/..:cli": {}
  "ocp/5.0:cli?x": {}
`)
  t.equal(refusedEntries(config).size, 8)
  const [into, back] = [desiredImages(config), backfillImages(config)]
  t.strictSame(
    [...into.images, ...back.images].map(({ target }) => target),
    ['ocp/ubi:9', 'rh_x/ubi:9', 'registry.ci.openshift.org/ocp/5.0:cli'],
  )
  t.strictSame(
    [...into.leftOut, ...back.leftOut].map(
      ({ reason }) => /not a tag|read|long|itself|cannot be/.exec(reason)?.[0],
    ),
    ['cannot be', 'cannot be', 'cannot be', 'read', 'long', 'itself', 'cannot be', 'cannot be'],
  )
  t.end()
})
