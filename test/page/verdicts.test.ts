import t from 'tap'
import type { ClusterIdentity } from '../../src/access/identity.ts'
import type { Decision } from '../../src/access/policy.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { alice, allowed, digest, hex, refused, routesOptions } from '../registry/fakes.ts'
import { explaining } from './fakes.ts'

const { policy } = routesOptions()
const deciding = (decision: Decision, ofNamespace: Decision = refused) => ({
  policy: { ...policy, decide: async () => decision, decideImageStream: async () => ofNamespace },
})
const as = (identity: ClusterIdentity) => ({
  authenticate: async () => ({ identity, bearerToken: 'token' }),
})

await t.test('each rule that allows has its words and its review', async (test) => {
  const { namespace: _namespace, grantedBy: _grantedBy, ...nobody } = allowed
  const rows: readonly (readonly [Decision, RegExp, readonly string[]])[] = [
    [allowed, /you have QCI-wide access/, ['yes qci-image-puller ocp']],
    [
      { ...allowed, rule: 'image-puller' },
      /you have system:image-puller in namespace ocp/,
      ['yes system:image-puller ocp 4.5'],
    ],
    [{ ...nobody, rule: 'robot' }, /alice is the robot that reads all of QCI/, []],
    [{ ...nobody, rule: 'service-account' }, /the proxy audits, and lets every service account pull/, []],
  ]
  for (const [decision, reason, reviews] of rows) {
    const { explain } = await explaining(test, deciding(decision))
    const { explanation } = await explain('ocp/4.5:base')
    test.match(explanation, { access: 'allowed', rule: decision.rule, reason })
    test.strictSame(
      explanation.reviews.map(({ answer, role, namespace, name }) =>
        [answer, role, namespace, name].filter((word) => word !== undefined).join(' '),
      ),
      reviews,
    )
  }
})

await t.test('a grant of another form has no name of a stream', async (test) => {
  const { explain } = await explaining(test, deciding({ ...allowed, rule: 'image-puller' }))
  for (const image of ['openshift/ci:a_b_c_d', `ocp/4.5@${digest}`])
    test.notOk('name' in (await explain(image)).explanation.reviews[0]!, image)
})

await t.test('a missing image names the next step', async (test) => {
  const { explain } = await explaining(test)
  const rows = [
    ['ocp/4.5:bsae', 'find the tag: skopeo list-tags docker://proxy.example/ocp/4.5'],
    ['openshift/ci:a_b_c_d', 'check the spelling of the tag'],
    ['ocp/4.5', 'clients ask for latest if no tag is given: name a tag'],
    [`ocp/4.5@${digest}`, 'pull the image by its tag'],
  ] as const
  for (const [image, next] of rows)
    test.match((await explain(image)).explanation, { inQci: 'no', next }, image)
})

await t.test('upstream does not say', async (test) => {
  const { explain } = await explaining(test, {
    fetchManifest: async () => {
      throw new RegistryError('UNAVAILABLE', 'the upstream registry is failing')
    },
  })
  test.match((await explain('ocp/4.5:base')).explanation, {
    access: 'allowed',
    inQci: 'unknown',
    reason: /Whether QCI has it is not known now: the upstream registry is failing\.$/,
    next: 'podman pull proxy.example/ocp/4.5:base, or try again in a moment',
  })
})

await t.test('a refusal shows the reviews of the written namespace, and the grant', async (test) => {
  const { explain } = await explaining(test, deciding(refused))
  const reviews = async (image: string) =>
    (await explain(image)).explanation.reviews.map(({ answer, role }) => `${answer} ${role}`)
  test.strictSame(await reviews('ocp/4.5:base'), ['no qci-image-puller', 'no system:image-puller'])
  test.strictSame(await reviews('a-priv/b:c'), ['no system:image-puller'])
  test.strictSame(await reviews('openshift/ci:latest'), ['no qci-image-puller'])
  test.strictSame(await reviews(`ocp/4.5@${digest}`), [])
  test.match((await explain('a-priv/b:c')).explanation.next, 'system:image-puller GROUP -n a-priv')
  test.match((await explain('openshift/ci:latest')).explanation.next, 'qci-image-puller GROUP')
  const audit = await explaining(test, { ...deciding(refused), isAudit: true })
  test.strictSame((await audit.explain('ocp/4.5:base')).explanation.reviews, [])
})

await t.test('a digest: the namespace that was written, and no other', async (test) => {
  const closed = await explaining(test, deciding(refused))
  test.match((await closed.explain(`ocp/4.5@${digest}`)).explanation.next, 'qci-image-puller GROUP')
  const open = await explaining(test, deciding(refused, allowed))
  const next = 'pull an image that has this digest by its tag, then try again'
  test.equal((await open.explain(`ocp/4.5@${digest}`)).explanation.next, next)
  test.equal((await closed.explain(`openshift/ci@${digest}`)).explanation.next, next)
})

await t.test('attack: attachments of an image of another user', async (test) => {
  const { explain } = await explaining(test, deciding(refused, allowed))
  test.match((await explain(`ocp/4.5:sha256-${hex}.sig`)).explanation, {
    access: 'allowed',
    inQci: 'no',
    reason: /is not in QCI: it was not promoted/,
  })
})

await t.test('a token with scopes needs another token, not a grant', async (test) => {
  const extra = { 'scopes.authorization.openshift.io': ['user:info'] }
  const limited = { ...alice, user: { ...alice.user, extra } }
  const { explain } = await explaining(test, { ...deciding(refused), ...as(limited) })
  test.match((await explain('ocp/4.5:base')).explanation, {
    reason: /limited to the scopes user:info/,
    next: /^oc login, then podman login/,
  })
})

await t.test('a tag without an owner: its digest is closed, or not known yet', async (test) => {
  const byDigest = {
    ...policy,
    decide: async (_identity: unknown, { kind }: { readonly kind: string }) =>
      kind === 'digest' ? refused : allowed,
  }
  const manifest = { digest, mediaType: 'x', size: 1, content: undefined, isStale: false }
  const closed = await explaining(test, { policy: byDigest, fetchManifest: async () => manifest })
  test.match((await closed.explain('openshift/ci:latest')).explanation, {
    reason: /its image belongs to a namespace that you may not pull from/,
    next: 'pull the image by the tag of its namespace',
  })
  const unknown = await explaining(test, {
    fetchManifest: async () => {
      throw new RegistryError('UNAVAILABLE', 'the upstream registry is failing')
    },
  })
  test.match((await unknown.explain('openshift/ci:latest')).explanation, {
    access: 'unknown',
    reason: 'The image behind this tag decides, and it is not known now: the upstream registry is failing.',
    next: 'try again in a moment',
  })
})

await t.test('an existing image: its digest, and the pull command', async (test) => {
  const manifest = { digest, mediaType: 'x', size: 1, content: undefined, isStale: false }
  const { explain } = await explaining(test, { fetchManifest: async () => manifest })
  test.match((await explain('ocp/4.5:base')).explanation, {
    digest,
    reason: /^You may pull it: .*\.$/,
    next: 'podman pull proxy.example/ocp/4.5:base',
  })
})
