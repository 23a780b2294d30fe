import t from 'tap'
import { checkTargets, reasonAgainstFloat } from '../../../src/mirror/validation/targets.ts'
import { configOf, supplemental } from './entries.ts'

const problemsOf = (...targets: readonly string[]) =>
  checkTargets(configOf(supplemental(Object.fromEntries(targets.map((target) => [target, 'quay.io/a/b:c'])))))

await t.test('targets of the real configuration', async (t) => {
  t.strictSame(
    problemsOf(
      'ocp/4.22:rhel-coreos-next',
      'ci/minio:RELEASE.2025-09-07T16-13-09Z',
      'ci/rh_jdk_ocp_testsuite:latest',
      'ci/xpaas-qe:7.11.x-openjdk1.8_local',
    ),
    [],
  )
})

await t.test('a namespace with underscores works in the monorepo form alone', async (t) => {
  t.match(problemsOf('rh_xx_yyy/aro-hcp-e2e-base:v1.0'), [
    { severity: 'warning', message: /openshift\/ci:rh_xx_yyy_aro-hcp-e2e-base_v1\.0 alone$/ },
  ])
  t.match(problemsOf('ci/Name:v1.0'), [{ severity: 'warning' }])
})

await t.test('a float is a tag, and so is its prune tag', async (t) => {
  const prefix = 'a_b_'.length
  t.strictSame(problemsOf(`a/b:${'c'.repeat(87 - prefix)}`), [])
  t.match(problemsOf(`a/b:${'c'.repeat(89 - prefix)}`), [
    {
      severity: 'error',
      message: /has 130 characters, and a tag has 128 at most$/,
      cure: 'make namespace, name and tag together 2 shorter',
    },
  ])
  t.match(problemsOf('"a/b:c d"'.replaceAll('"', '')), [{ severity: 'error', message: /is not a tag$/ }])
  t.match(problemsOf('-a/b:c'), [{ severity: 'error' }])
})

await t.test('attack: a target that the pruner would delete', async (t) => {
  t.match(problemsOf('20260101000000/prune_a:b'), [
    { severity: 'error', message: /reads as a copy, a digest or a tag of the release controller$/ },
  ])
  t.match(problemsOf('art/_a:b'), [{ severity: 'error' }])
})

await t.test('targets of app.ci have names of app.ci', async (t) => {
  const config = configOf('qciToAppCIImages:\n  ocp/5.0:cli: {}\n  a_b/c:d: {}\n  a/C:d: {}\n  a/c:.d: {}\n')
  t.match(
    checkTargets(config).map(({ subject }) => subject),
    ['qciToAppCIImages[a_b/c:d]', 'qciToAppCIImages[a/C:d]', 'qciToAppCIImages[a/c:.d]'],
  )
})

await t.test('attack: ImageStream tags that would be a copy in QCI, or no tag', (t) => {
  const reasonOf = (namespace: string, name: string, tag: string) =>
    reasonAgainstFloat({ namespace, name, tag })
  t.equal(reasonOf('ocp', '4.5', 'cli'), undefined)
  t.equal(reasonOf('rh_x', 'ubi', '9'), undefined)
  t.match(reasonOf('20200101000000', 'prune', 'ocp_4.5_cli'), /_prune_ocp_4.5_cli reads as a copy/)
  t.match(reasonOf('ocp', '4.5', 'cli?x'), /^ocp_4.5_cli\?x is not a tag$/)
  t.match(reasonOf('ocp', 'x'.repeat(90), 'cli'), /is too long for a tag with a prune name$/)
  t.end()
})
