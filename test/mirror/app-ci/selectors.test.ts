import t from 'tap'
import { selectorsOf } from '../../../src/mirror/app-ci/selectors.ts'
import { configOf } from '../validation/entries.ts'

await t.test(
  'a namespace is listed only if a pattern needs it; other ImageStreams are read one by one',
  (t) => {
    const config = configOf(`artImages:
  - {namespace: openshift, name: ^release$}
  - {namespace: openshift, name: '^release\\.old$'}
  - {namespace: ocp, name: ^builder$}
  - {namespace: ocp, name: '^\\d+\\.\\d+$', tag: ^rhel-coreos.*}
  - {namespace: origin, name: ^scos.*}
  - {namespace: many, name: '^a.b$'}
supplementalCIImages:
  coreos/base:9.6: {namespace: coreos, name: base, tag: "9.6"}
  coreos/base:9.7: {namespace: coreos, name: base, tag: "9.7"}
  ocp/x:v1: {namespace: ocp, name: x, tag: v1}
  ocp/ubi:9: {image: registry.access.redhat.com/ubi9/ubi:latest}
`)
    const selectors = selectorsOf(config)
    const named = selectors.map(({ namespace, name }) =>
      name === undefined ? { namespace } : { namespace, name },
    )
    t.strictSame(named, [
      { namespace: 'ocp' },
      { namespace: 'origin' },
      { namespace: 'many' },
      { namespace: 'openshift', name: 'release' },
      { namespace: 'openshift', name: 'release.old' },
      { namespace: 'coreos', name: 'base' },
    ])
    const kept = (namespace: string, name: string, tag: string) =>
      selectors.find((selector) => selector.namespace === namespace)?.keeps?.(name, tag)
    t.equal(kept('ocp', '4.20', 'rhel-coreos'), true)
    t.equal(kept('ocp', '4.20', 'cli'), false)
    t.equal(kept('ocp', 'x', 'v1'), true)
    t.equal(kept('ocp', 'x', 'v2'), false)
    t.equal(kept('coreos', 'base', '9.7'), true)
    t.end()
  },
)
