import t from 'tap'
import type { Policy } from '../../src/access/policy.ts'
import { parseRepository } from '../../src/reference.ts'
import { createVisibility } from '../../src/registry/tag-visibility.ts'
import { alice, allowed, refused } from './fakes.ts'

const hex = 'a'.repeat(64)
const monorepo = parseRepository('openshift', 'ci', 'openshift/ci')
const imageStream = parseRepository('ocp', '4.5', 'openshift/ci')

const policyFor = (open: readonly string[], digests = true) => {
  const asked: string[] = []
  const policy: Policy = {
    known: () => undefined,
    decide: async () => (digests ? allowed : refused),
    decideImageStream: async (_identity, place) => {
      const key = place === undefined ? 'none' : `${place.namespace}/${place.name ?? ''}`
      asked.push(key)
      return open.includes(key) ? allowed : refused
    },
  }
  return { policy, asked }
}

await t.test('the monorepo by namespace, an image stream as its tags are, each once', async (t) => {
  const byNamespace = policyFor(['ocp/'])
  const inMonorepo = createVisibility(alice, monorepo, byNamespace.policy)
  for (const tag of ['ocp_4.5_a', 'ocp_4.6_b']) t.ok(await inMonorepo.isVisible(tag))
  t.notOk(await inMonorepo.isVisible('other_4.6_b'))
  t.same(byNamespace.asked, ['ocp/', 'other/'])
  t.equal(inMonorepo.decided(), 2)
  const byName = policyFor(['ocp/4.5'])
  const inStream = createVisibility(alice, imageStream, byName.policy)
  t.ok(await inStream.isVisible('ocp_4.5_a'))
  t.notOk(await inStream.isVisible('ocp_4.5_a_b'), 'which may be of another image stream')
  t.same(byName.asked, ['ocp/4.5', 'ocp/'])
})

await t.test('tags without a namespace, and tags of a digest', async (t) => {
  const open = createVisibility(alice, monorepo, policyFor(['none']).policy)
  t.ok(await open.isVisible('latest'))
  t.ok(await open.isVisible(`20231029_sha256_${hex}`))
  const restricted = createVisibility(alice, monorepo, policyFor(['none'], false).policy)
  t.notOk(await restricted.isVisible(`20231029_sha256_${hex}`))
  const closed = createVisibility(alice, monorepo, policyFor([]).policy)
  t.notOk(await closed.isVisible('latest'))
  t.notOk(await closed.isVisible(`sha256-${hex}.sig`))
  t.notOk(await open.isVisible('-no tag'))
})

await t.test('a namespace that can be passed over', async (t) => {
  const { hiddenNamespace } = createVisibility(alice, monorepo, policyFor(['ocp/']).policy)
  t.equal(await hiddenNamespace('secret_x_1'), 'secret')
  t.equal(await hiddenNamespace('ocp_x_1'), undefined, 'it is open')
  t.equal(await hiddenNamespace('20240603235401_prune_secret_x_1'), undefined, 'its tags stand elsewhere')
  t.equal(await hiddenNamespace('latest'), undefined, 'there is none')
})
