import t from 'tap'
import { explainByManifests, userOf, type OfflineOptions } from '../../src/explain/by-manifests.ts'

const answers = (yes: Readonly<Record<string, 'yes' | 'unknown'>>): OfflineOptions => ({
  monorepo: 'openshift/ci',
  exposedHost: 'proxy.example',
  isRestricted: (namespace) => namespace.endsWith('-priv'),
  qciNamespace: 'ocp',
  grantAdvice: 'oc-policy',
  isWhole: true,
  review: (_user, { namespace, name = '' }) => ({ answer: yes[`${namespace}/${name}`] ?? 'no' }),
})
const alice = userOf('alice', ['team'])

await t.test('the reviews of the proxy, in their order', async (test) => {
  const wide = explainByManifests('my-team/app:x', alice, answers({ 'ocp/': 'yes' }))
  test.match(wide, { access: 'allowed', rule: 'qci-wide', reason: /they have QCI-wide access/ })
  test.strictSame(
    wide.reviews.map(({ role, namespace, answer }) => `${answer} ${role} ${namespace}`),
    ['yes qci-image-puller ocp', 'no system:image-puller my-team'],
  )
  const own = explainByManifests('a-priv/b:x', alice, answers({ 'ocp/': 'yes', 'a-priv/b': 'yes' }))
  test.match(own, {
    access: 'allowed',
    rule: 'image-puller',
    reason: /system:image-puller in namespace a-priv/,
  })
  test.equal(own.reviews.length, 1, 'QCI-wide access does not open it')
  test.match(explainByManifests('openshift/ci:latest', alice, answers({})), {
    access: 'denied',
    next: /qci-image-puller GROUP/,
  })
})

await t.test('a refusal names the grant, and a missing role or a digest is unknown', async (test) => {
  test.match(explainByManifests('a-priv/b:x', alice, answers({ 'ocp/': 'yes' })), {
    access: 'denied',
    next: /system:image-puller GROUP -n a-priv/,
  })
  test.match(explainByManifests('a/b:x', alice, answers({ 'a/b': 'unknown' })), {
    access: 'unknown',
    next: 'give the folder of that role with a further --rbac',
  })
  const partly = { ...answers({ 'ocp/': 'yes' }), isWhole: false }
  test.match(explainByManifests('a-priv/b:x', alice, partly), {
    access: 'unknown',
    next: /^correct the file/,
  })
  test.match(explainByManifests('a/b:x', alice, partly), { access: 'allowed' })
  test.match(explainByManifests(`a/b@sha256:${'a'.repeat(64)}`, alice, answers({ 'ocp/': 'yes' })), {
    access: 'unknown',
    next: /ask a proxy with --server/,
  })
})

await t.test(
  'what a proxy could refuse is never allowed: an unowned tag may be a restricted image',
  async (test) => {
    for (const tag of ['latest', 'rc_payload__4.20.0', 'art__0123456789abcdef']) {
      const { access, reason, next, reviews } = explainByManifests(
        `openshift/ci:${tag}`,
        alice,
        answers({ 'ocp/': 'yes' }),
      )
      test.strictSame([access, next, reviews.length], ['unknown', 'ask a proxy with --server', 1])
      test.match(reason, /unless a restricted tag reaches the same image/)
    }
    test.match(explainByManifests('openshift/ci:a_b_c', alice, answers({ 'ocp/': 'yes' })), {
      access: 'allowed',
      reason: /A token with scopes, or a proxy with other flags, may open less\.$/,
    })
  },
)

await t.test('the groups that a cluster adds', async (test) => {
  test.strictSame(alice.groups, ['team', 'system:authenticated'])
  test.strictSame(userOf('system:serviceaccount:a:b', []).groups, [
    'system:serviceaccounts',
    'system:serviceaccounts:a',
    'system:authenticated',
  ])
  test.strictSame(userOf('system:anonymous', []).groups, ['system:unauthenticated'])
  test.equal(userOf(undefined, ['x']).username, 'somebody')
})
