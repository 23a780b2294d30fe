import t from 'tap'
import { backfillImages } from '../../../src/mirror/app-ci/backfill-images.ts'
import { configOf } from '../validation/entries.ts'

await t.test('images of QCI go to app.ci under their own names', (t) => {
  const { images, leftOut } = backfillImages(
    configOf(`qciToAppCIImages:
  ocp/5.0:cli: {}
  ci/tool:latest: {image: quay.io/openshift/ci:ci_tool_v2}
  ci/broken:latest: {}
  openshift/fedora:31: {}
supplementalCIImages:
  openshift/fedora:31: {namespace: openshift, name: fedora, tag: "31"}
ignoredSources:
  - {image: quay-proxy.ci.openshift.org/openshift/ci:ci_broken_latest, reason: broken image}
`),
  )
  t.strictSame(images, [
    {
      target: 'registry.ci.openshift.org/ocp/5.0:cli',
      float: 'cli',
      destination: { registry: 'registry.ci.openshift.org', repository: 'ocp/5.0' },
      source: {
        registry: 'quay-proxy.ci.openshift.org',
        repository: 'openshift/ci',
        tag: 'ocp_5.0_cli',
        digest: undefined,
      },
    },
    {
      target: 'registry.ci.openshift.org/ci/tool:latest',
      float: 'latest',
      destination: { registry: 'registry.ci.openshift.org', repository: 'ci/tool' },
      source: { registry: 'quay.io', repository: 'openshift/ci', tag: 'ci_tool_v2', digest: undefined },
    },
  ])
  t.match(leftOut, [
    { target: 'registry.ci.openshift.org/ci/broken:latest', reason: /is ignored: broken image/ },
    { target: 'registry.ci.openshift.org/openshift/fedora:31', reason: /a circle of copies/ },
  ])
  t.end()
})
