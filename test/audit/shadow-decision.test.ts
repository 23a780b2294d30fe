import t from 'tap'
import { createShadow } from '../../src/audit/shadow-decision.ts'
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
  const evaluate = createShadow({ decide: async () => yes }, requirementsOf)
  const rows = [
    ['ocp_4.5_base', ['image-puller', 'qci-wide']],
    ['ocp-priv_4.5_base', ['image-puller']],
    ['latest', ['qci-wide']],
    [digest, []],
  ] as const
  for (const [text, openedBy] of rows)
    test.strictSame(await evaluate(alice, parse(text)), { decision: yes, openedBy }, text)
})

await t.test('a failure of the reviews is a value', async (test) => {
  const error = new Error('unavailable')
  const evaluate = createShadow(
    {
      decide: async () => {
        throw error
      },
    },
    requirementsOf,
  )
  test.strictSame(await evaluate(alice, parse('latest')), {
    decision: undefined,
    error,
    openedBy: ['qci-wide'],
  })
})

await t.test(
  '32 wait at a time: the others are undecided at once, until one has its answer',
  async (test) => {
    const answers: ((decision: Decision) => void)[] = []
    const decide = async () => await new Promise<Decision>((resolve) => answers.push(resolve))
    const evaluate = createShadow({ decide }, requirementsOf)
    const waiting = Array.from({ length: 32 }, () => evaluate(alice, parse('latest')))
    test.match(await evaluate(alice, parse('latest')), {
      decision: undefined,
      error: { message: /^more than 32 shadow decisions/ },
    })
    for (const answer of answers) answer(yes)
    await Promise.all(waiting)
    const next = evaluate(alice, parse('latest'))
    test.equal(answers.length, 33)
    answers[32]?.(yes)
    test.match(await next, { decision: yes })
  },
)
