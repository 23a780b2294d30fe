import t from 'tap'
import { checkCollisions } from '../../../src/mirror/validation/collisions.ts'
import { configOf, supplemental } from './entries.ts'

await t.test('two targets with one tag in QCI', async (t) => {
  const config = configOf(
    supplemental({ 'a/b_c:d': 'quay.io/a/b:c', 'a/x:y': 'quay.io/a/b:c', 'a/b:c_d': 'quay.io/a/b:d' }),
  )
  t.match(checkCollisions(config, new Map()), [
    {
      severity: 'error',
      position: { line: 4 },
      message: 'a/b:c_d has the tag of a/b_c:d (line 2) in QCI, a_b_c_d',
    },
  ])
})

await t.test('a target that a build promotes', async (t) => {
  const config = configOf(supplemental({ 'ocp/5.0:cli': 'quay.io/a/b:c', 'ocp/5.0:x': 'quay.io/a/b:c' }))
  t.match(checkCollisions(config, new Map([['ocp_5.0_cli', 'openshift/oc/openshift-oc-main.yaml']])), [
    {
      severity: 'error',
      message:
        'target ocp/5.0:cli would overwrite a promoted tag: openshift/oc/openshift-oc-main.yaml promotes it',
    },
  ])
})

await t.test('patterns of ART that match other entries', async (t) => {
  const config = configOf(`${supplemental({ 'ocp/4.22:rhel-coreos-next': 'quay.io/a/b:c' })}
qciToAppCIImages:
  openshift/release:golang-1.16: {}
  openshift/other:golang-1.16: {}
artImages:
  - {namespace: openshift, name: ^release$}
  - {namespace: ocp, name: "^\\\\d+", tag: ^rhel-coreos.*}
  - {namespace: ocp, name: "^\\\\d+", tag: ^base.*}
`)
  t.match(checkCollisions(config, new Map()), [
    { severity: 'warning', subject: 'artImages[0]', message: /openshift\/release:golang-1\.16/ },
    { severity: 'warning', subject: 'artImages[1]', message: /rhel-coreos-next.*the latter wins$/ },
  ])
})

await t.test('a tag that a build promotes and that ART has, too', (t) => {
  const config = configOf(`artImages:
  - {namespace: ocp, name: '^4\\.20$', tag: ^rhel_coreos$}
  - {namespace: origin, name: ^scos.*}
`)
  const promoted = new Map([
    ['ocp_4.20_rhel_coreos', 'a.yaml'],
    ['ocp_4.20_cli', 'b.yaml'],
    ['origin_scos-4.20_base', 'c.yaml'],
    ['ci_scos-4.20_base', 'd.yaml'],
  ])
  t.match(checkCollisions(config, promoted), [
    {
      severity: 'warning',
      message: 'artImages[0] also matches ocp_4.20_rhel_coreos, which a.yaml promotes: both would write it',
    },
    {
      severity: 'warning',
      message: 'artImages[1] also matches origin_scos-4.20_base, which c.yaml promotes: both would write it',
    },
  ])
  t.end()
})
