import t from 'tap'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { likelyPullSpec } from '../../src/oci/likely-pull-spec.ts'
import { digest } from '../registry/fakes.ts'

const options = {
  monorepo: 'openshift/ci',
  exposedHost: 'proxy.example',
  ownerOf: createTagOwner(() => false),
}
const likely = (path: string, reference: string) => likelyPullSpec(path.split('/'), reference, options)

await t.test('misspelled names, with the pull spec that is meant', async (test) => {
  for (const [path, reference, expected] of [
    ['registry.ci.openshift.org/ocp/4.5', 'base', 'ocp/4.5:base'],
    ['quay-proxy.ci.openshift.org/ocp/4.5', 'base', 'ocp/4.5:base'],
    ['proxy.example/ocp/4.5', 'base', 'ocp/4.5:base'],
    ['quay.io/openshift/ci', 'ocp_4.5_base', 'openshift/ci:ocp_4.5_base'],
    ['registry.ci.openshift.org/ocp/4.5', digest, `ocp/4.5@${digest}`],
    ['ocp/4.5/base', 'latest', 'ocp/4.5:base'],
    ['registry.ci.openshift.org/ocp/4.5/base', 'latest', 'ocp/4.5:base'],
    ['ocp_4.5_base', 'latest', 'openshift/ci:ocp_4.5_base'],
    ['ocp_4.5', 'base', 'openshift/ci:ocp_4.5_base'],
    ['ocp_4.5/base', 'latest', 'openshift/ci:ocp_4.5_base'],
    ['ci', digest, `openshift/ci@${digest}`],
    ['a/b/c', digest, `openshift/ci@${digest}`],
    ['ocp//4.5', 'base', 'ocp/4.5:base'],
    ['/ocp/4.5', 'base', 'ocp/4.5:base'],
    ['https://quay-proxy.ci.openshift.org/ocp/4.5', 'base', 'ocp/4.5:base'],
  ] as const)
    test.equal(likely(path, reference), `proxy.example/${expected}`, `${path} ${reference}`)
})

await t.test(
  'no advice for names of other registries, and for names without a likely meaning',
  async (test) => {
    for (const [path, reference] of [
      ['docker.io/library/ubuntu', '22.04'],
      ['docker.io/library/ubuntu', digest],
      ['quay.io/openshift/other', 'latest'],
      ['ci', 'latest'],
      ['a/b/c', 'tag'],
      ['a/b/c/d/e', 'latest'],
      ['ocp_4.5', 'latest'],
      ['registry.ci.openshift.org/OCP/4.5', 'base'],
      ['', 'latest'],
    ] as const)
      test.equal(likely(path, reference), undefined, `${path} ${reference}`)
  },
)

await t.test('attack: the advice has nothing of a name that is no pull spec', async (test) => {
  for (const path of ['ocp/4.5\u001b[2J/base', 'a_b_c\n', `${'x_'.repeat(4000)}/y`])
    test.equal(likely(path, 'latest'), undefined)
})
