import t from 'tap'
import { checkSources } from '../../../src/mirror/validation/sources.ts'
import { configOf, supplemental } from './entries.ts'

await t.test('Docker Hub in every spelling is refused', async (t) => {
  const problems = checkSources(
    configOf(
      supplemental({
        'a/b:1': 'docker.io/library/fedora:1',
        'a/b:2': 'index.docker.io/fedora:2',
        'a/b:3': 'fedora:3',
        'a/b:4': 'Docker.io:443/fedora:4',
        'a/b:5': 'quay.io/fedora/fedora:5',
      }),
    ),
  )
  t.strictSame(
    problems.map(({ subject }) => subject),
    [1, 2, 3, 4].map((tag) => `supplementalCIImages[a/b:${tag}]`),
  )
  t.match(problems, [
    { message: 'source image docker.io/library/fedora:1 is from docker.io, which limits pulls' },
  ])
})

await t.test('an ignored source that no entry has', async (t) => {
  const problems = checkSources(
    configOf(`${supplemental({ 'a/b:c': 'quay.io/a/b:c' })}
qciToAppCIImages:
  ocp/5.0:cli: {}
artImages:
  - {namespace: ocp, name: ^4, tag: ^rhel}
  - {namespace: openshift, name: ^release$}
ignoredSources:
  - {image: quay.io/a/b:c, reason: broken}
  - {image: quay-proxy.ci.openshift.org/openshift/ci:ocp_5.0_cli, reason: broken}
  - {namespace: ocp, name: "4.22", tag: rhel-coreos, reason: broken}
  - {namespace: openshift, name: release, tag: golang, reason: broken}
  - {image: quay.io/a/b:d, reason: broken}
  - {image: quay.io/a:d, reason: broken}
  - {namespace: ocp, name: "4.22", tag: other, reason: broken}
`),
  )
  t.strictSame(
    problems.map(({ severity, subject }) => `${severity} ${subject}`),
    ['warning ignoredSources[4]', 'warning ignoredSources[5]', 'warning ignoredSources[6]'],
  )
})
