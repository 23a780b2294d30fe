import t from 'tap'
import { createJudgeBeside } from '../../src/audit/shadow.ts'
import { createRequirements, nothingKnown } from '../../src/access/requirement.ts'
import type { ClusterIdentity } from '../../src/access/identity.ts'
import type { Decision } from '../../src/access/policy.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository, type Digest } from '../../src/oci/reference.ts'

const ownerOf = createTagOwner((namespace) => namespace.endsWith('-priv'))

const alice: ClusterIdentity = {
  kind: 'user',
  key: 'a',
  user: { username: 'alice', groups: [], extra: {} },
}
const yes: Decision = { allowed: true, rule: 'qci-wide', source: 'live' }
const digest = `sha256:${'a'.repeat(64)}` as Digest
const requirementsOf = createRequirements({
  knowledge: nothingKnown,
  isRestricted: (namespace) => namespace.endsWith('-priv'),
  unknownDigests: 'deny',
})
const parse = (text: string) =>
  parseReference(parseRepository('openshift', 'ci', 'openshift/ci'), text, ownerOf)

await t.test('the decision, and the roles that open the reference', async (test) => {
  const judge = createJudgeBeside({ decide: async () => yes }, requirementsOf)
  const rows = [
    ['ocp_4.5_base', ['image-puller', 'qci-wide']],
    ['ocp-priv_4.5_base', ['image-puller']],
    ['latest', ['qci-wide']],
    [digest, []],
  ] as const
  for (const [text, openedBy] of rows)
    test.strictSame(await judge(alice, parse(text)), { decision: yes, openedBy }, text)
})

await t.test('an answer that cannot be had is a value', async (test) => {
  const error = new Error('away')
  const judge = createJudgeBeside(
    {
      decide: async () => {
        throw error
      },
    },
    requirementsOf,
  )
  test.strictSame(await judge(alice, parse('latest')), { decision: undefined, error, openedBy: ['qci-wide'] })
})

await t.test('few wait at a time: the rest is undecided at once, until one is answered', async (test) => {
  const answers: ((decision: Decision) => void)[] = []
  const decide = async () => await new Promise<Decision>((resolve) => answers.push(resolve))
  const judge = createJudgeBeside({ decide }, requirementsOf)
  const waiting = Array.from({ length: 32 }, () => judge(alice, parse('latest')))
  test.match(await judge(alice, parse('latest')), { decision: undefined, error: { message: /^too many/ } })
  for (const answer of answers) answer(yes)
  await Promise.all(waiting)
  const next = judge(alice, parse('latest'))
  test.equal(answers.length, 33)
  answers[32]?.(yes)
  test.match(await next, { decision: yes })
})
