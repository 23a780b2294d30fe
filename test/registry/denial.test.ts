import t from 'tap'
import type { Identity } from '../../src/access/identity.ts'
import { createDenialMessage } from '../../src/registry/denial.ts'
import { alice } from './fakes.ts'

const denied = createDenialMessage('ocp', (namespace) => namespace.endsWith('-priv'))
const account: Identity = {
  ...alice,
  kind: 'service-account',
  user: { username: 'system:serviceaccount:my-team:puller', groups: [], extra: {} },
}

const digest = `sha256:${'a'.repeat(64)}`
const messageFor = (wanted: string, namespace?: string, more: object = {}) =>
  denied({ identity: alice, wanted, namespace, ...more }).message

await t.test('the requester, the namespace, and both ways to get access', async (test) => {
  test.match(denied({ identity: alice, wanted: 'my-team_app_latest', namespace: 'my-team' }), {
    code: 'DENIED',
    status: 403,
    message:
      'alice may not pull from namespace my-team of QCI; ask to be added to a group of the RoleBinding qci-image-puller in namespace ocp, or for the role system:image-puller in namespace my-team',
  })
})

await t.test('a service account gets access by a RoleBinding, not by a group', async (test) => {
  test.equal(
    messageFor('ocp_4.5_base', 'ocp', { identity: account }),
    'system:serviceaccount:my-team:puller may not pull from namespace ocp of QCI; ask for a RoleBinding of system:image-puller to the service account my-team/puller in namespace ocp',
  )
})

await t.test(
  'a service account that misspells its own namespace is asked whether it means that',
  async (test) => {
    test.equal(
      messageFor('my-taem_app_latest', 'my-taem', { identity: account }),
      'system:serviceaccount:my-team:puller may not pull from namespace my-taem of QCI (did you mean your own, my-team?); ask for a RoleBinding of system:image-puller to the service account my-team/puller in namespace my-taem',
    )
    test.notMatch(messageFor('x', 'my-team', { identity: account }), 'did you mean')
    test.notMatch(messageFor('x', 'my-taem'), 'did you mean', 'a person has no namespace')
  },
)

await t.test('a restricted namespace has one way to get access', async (test) => {
  test.equal(
    messageFor('x', 'ocp-priv'),
    'alice may not pull from namespace ocp-priv of QCI, which is restricted; ask for the role system:image-puller in namespace ocp-priv',
  )
})

await t.test('a token with scopes: the token is named, and no way to get access', async (test) => {
  const withScopes = (...scopes: string[]): Identity => ({
    ...alice,
    user: { ...alice.user, extra: { 'scopes.authorization.openshift.io': scopes } },
  })
  test.equal(
    messageFor('ocp_4.5_base', 'ocp', { identity: withScopes('user:info', 'user:check-access') }),
    'the token of alice is limited to the scopes user:info, user:check-access, which do not allow this pull; log in with a token without scopes',
  )
  for (const scopes of [[], ['user:full'], ['user:info', 'user:full']])
    test.match(messageFor('ocp_4.5_base', 'ocp', { identity: withScopes(...scopes) }), /^alice may not pull/)
})

await t.test('without a namespace the message does not tell where the digest is known', async (test) => {
  for (const isNamespaceOpen of [true, false]) {
    const message = messageFor(digest, undefined, { isNamespaceOpen })
    test.match(message, /^alice may not pull sha256:a{64}: it is not known in an image that you may pull/)
    test.notMatch(message, 'image-puller')
  }
})

await t.test('a digest within a namespace, and a tag without one', async (test) => {
  const open = messageFor(digest, 'ocp', { isNamespaceOpen: true })
  test.match(open, /^alice may not pull sha256:a{64} from namespace ocp: it is not known in an image/)
  test.notMatch(open, 'qci-image-puller', 'no promise of a way that may not lead there')
  test.match(messageFor('latest'), /^alice may not pull latest, which belongs to no namespace; ask/)
})

await t.test(
  'a digest within a namespace that is closed: how to get access to the namespace',
  async (test) => {
    test.equal(
      messageFor(digest, 'my-team', { isNamespaceOpen: false }),
      'alice may not pull from namespace my-team of QCI; ask to be added to a group of the RoleBinding qci-image-puller in namespace ocp, or for the role system:image-puller in namespace my-team. A digest opens once an image that has it is known: pull it by its tag first',
    )
    test.notMatch(messageFor(digest, 'ocp-priv', { isNamespaceOpen: false }), 'qci-image-puller')
  },
)

await t.test('a tag that stands for a digest is refused like the digest', async (test) => {
  const hex = 'a'.repeat(64)
  for (const wanted of [
    `sha256-${hex}.sig`,
    `20240101_sha256_${hex}`,
    `art__sha256-${hex}`,
    `SHA256-${hex}.sig`,
  ]) {
    const message = messageFor(wanted)
    test.match(message, `alice may not pull ${wanted}: it is not known in an image that you may pull`)
    test.notMatch(message, 'belongs to no namespace')
    test.match(messageFor(wanted, 'ocp'), `${wanted} from namespace ocp: it is not known`)
  }
})
