import t from 'tap'
import { identitiesIn } from '../../../src/sandbox/app-ci/identities.ts'
import { apiVersion } from './rbac-objects.ts'

const roleRef = { kind: 'ClusterRole', name: 'r' }

await t.test('each subject of a binding once, and each service account', (test) => {
  const identities = identitiesIn([
    {
      apiVersion,
      kind: 'RoleBinding',
      metadata: { name: 'b', namespace: 'z' },
      roleRef,
      subjects: [
        { kind: 'Group', name: 'g' },
        { kind: 'User', name: 'u' },
        { kind: 'ServiceAccount', name: 'here' },
        { kind: 'ServiceAccount', name: 'there', namespace: 'a' },
        { kind: 'User', name: 'system:serviceaccount:a:there' },
        { kind: 'Alien', name: 'x' },
        { kind: 'Group' },
        { kind: 'User', name: 12_345 },
        null,
      ],
    },
    {
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata: { name: 'b' },
      roleRef,
      subjects: [
        { kind: 'Group', name: 'g' },
        { kind: 'ServiceAccount', name: 'nowhere' },
      ],
    },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'own', namespace: 'a' } },
    {
      apiVersion: 'authorization.openshift.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'b', namespace: 'b' },
      roleRef: { name: 'r' },
      groupNames: ['legacy'],
    },
  ])
  test.strictSame(
    identities.all.map(({ kind, name }) => `${kind} ${name}`),
    [
      'Group g',
      'User u',
      'ServiceAccount z/here',
      'ServiceAccount a/there',
      'ServiceAccount a/own',
      'Group legacy',
    ],
  )
  test.strictSame(identities.namespaces, ['b', 'z'])
  test.end()
})

await t.test('unreadable objects are ignored', (test) => {
  const identities = identitiesIn([
    { apiVersion, kind: 'RoleBinding', roleRef, subjects: [{ kind: 'ServiceAccount', name: 'a' }] },
    { apiVersion, kind: 'RoleBinding', metadata: { name: 'b' }, subjects: 'everybody' },
    {
      apiVersion: 'authorization.openshift.io/v1',
      kind: 'ClusterRoleBinding',
      roleRef: { namespace: 'a', name: 'r' },
      groupNames: ['g'],
    },
    { apiVersion: 'v1', kind: 'ConfigMap' },
  ])
  test.strictSame(identities.all, [])
  test.strictSame(identities.namespaces, [])
  test.end()
})

await t.test('users are in the groups that list them', (test) => {
  const group = (name: string, users: unknown) => ({
    apiVersion: 'user.openshift.io/v1',
    kind: 'Group',
    metadata: { name },
    users,
  })
  const { groupsOf } = identitiesIn([group('a', ['u', 'v', 5]), group('b', ['u']), group('c', null)])
  test.strictSame(groupsOf('u'), ['a', 'b'])
  test.strictSame(groupsOf('v'), ['a'])
  test.strictSame(groupsOf('w'), [])
  test.end()
})
