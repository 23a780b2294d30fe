import t from 'tap'
import type { UserInfo } from '../../../src/access/identity.ts'
import type { KubernetesObject, ResourceAttributes } from '../../../src/sandbox/app-ci/rbac.ts'
import { createRbac } from '../../../src/sandbox/app-ci/rbac.ts'
import { apiVersion, bind, clusterRole, group, pull, pullRule, role, user } from './rbac-objects.ts'

const joined: ResourceAttributes = {
  verb: 'get',
  group: 'image.openshift.io',
  resource: 'imagestreams/layers',
  namespace: 'ocp',
}

await t.test('the reason names the binding, the role and the subject', async (test) => {
  const rbac = createRbac([
    role('ocp', 'puller', pullRule),
    clusterRole('everywhere', [pullRule]),
    bind(
      'ocp',
      'b',
      'Role/puller',
      group('pullers'),
      { kind: 'User', name: 'bob' },
      { kind: 'Alien', name: 'x' },
    ),
    bind('ocp', 'c', 'ClusterRole/everywhere', { kind: 'ServiceAccount', name: 'builder' }),
    bind('', 'd', 'ClusterRole/everywhere', { kind: 'ServiceAccount', name: 'ci', namespace: 'tools' }),
    bind('', 'e', 'ClusterRole/everywhere', { kind: 'ServiceAccount', name: 'unqualified' }),
  ])
  const reason = (requester: UserInfo, namespace = 'ocp') => {
    const decision = rbac.authorize(requester, { ...pull, namespace })
    return decision.allowed ? decision.reason : `no: ${decision.reason}`
  }
  const rows: [UserInfo, string, string][] = [
    [
      user('alice', 'pullers'),
      'ocp',
      'RBAC: allowed by RoleBinding "b/ocp" of Role "puller" to Group "pullers"',
    ],
    [user('bob'), 'ocp', 'RBAC: allowed by RoleBinding "b/ocp" of Role "puller" to User "bob"'],
    [user('x', 'x'), 'ocp', 'no: '],
    [user('bob'), 'other', 'no: '],
    [user('bob'), '', 'no: '],
    [
      user('system:serviceaccount:ocp:builder'),
      'ocp',
      'RBAC: allowed by RoleBinding "c/ocp" of ClusterRole "everywhere" to ServiceAccount "builder/ocp"',
    ],
    [user('system:serviceaccount:other:builder'), 'ocp', 'no: '],
    [
      user('system:serviceaccount:tools:ci'),
      'anywhere',
      'RBAC: allowed by ClusterRoleBinding "d" of ClusterRole "everywhere" to ServiceAccount "ci/tools"',
    ],
    [
      user('system:serviceaccount:tools:ci'),
      '',
      'RBAC: allowed by ClusterRoleBinding "d" of ClusterRole "everywhere" to ServiceAccount "ci/tools"',
    ],
    [user('system:serviceaccount::unqualified'), 'ocp', 'no: '],
    [user('root', 'system:masters'), 'ocp', ''],
  ]
  for (const [requester, namespace, expected] of rows) {
    test.equal(reason(requester, namespace), expected, `${requester.username} in "${namespace}"`)
  }
})

const pullAllowed = (...objects: KubernetesObject[]) =>
  createRbac(objects).authorize(user('u', 'g'), pull).allowed

const ruleAllows = (rule: Record<string, string[]>, asked: ResourceAttributes) =>
  createRbac([role('ocp', 'r', rule), bind('ocp', 'b', 'Role/r', group('g'))]).authorize(
    user('u', 'g'),
    asked,
  ).allowed

await t.test('rules match as in the API server', async (test) => {
  const rows: [string, Record<string, string[]>, ResourceAttributes, boolean][] = [
    ['exact, split', pullRule, pull, true],
    ['exact, joined', pullRule, joined, true],
    ['other verb', pullRule, { ...pull, verb: 'update' }, false],
    ['every verb', { ...pullRule, verbs: ['*'] }, { ...pull, verb: 'update' }, true],
    ['other group', pullRule, { ...pull, group: '' }, false],
    ['core group', { ...pullRule, apiGroups: [''] }, { ...pull, group: '' }, true],
    [
      'absent group is the core group',
      { ...pullRule, apiGroups: [''] },
      { ...pull, group: undefined! },
      true,
    ],
    ['every group', { ...pullRule, apiGroups: ['*'] }, pull, true],
    ['every resource', { ...pullRule, resources: ['*'] }, pull, true],
    ['every resource, joined', { ...pullRule, resources: ['*'] }, joined, true],
    ['any parent, split', { ...pullRule, resources: ['*/layers'] }, pull, true],
    ['any parent, joined', { ...pullRule, resources: ['*/layers'] }, joined, false],
    [
      'any parent, no subresource',
      { ...pullRule, resources: ['*/layers'] },
      { ...pull, subresource: '' },
      false,
    ],
    ['a parent is not its subresource', { ...pullRule, resources: ['imagestreams'] }, pull, false],
    ['a subresource is not its parent', pullRule, { ...pull, subresource: '' }, false],
    ['no star within a name', { ...pullRule, resources: ['imagestreams/*'] }, pull, false],
    ['no star within a verb', { ...pullRule, verbs: ['g*'] }, pull, false],
    ['named, nothing asked by name', { ...pullRule, resourceNames: ['4.5'] }, pull, false],
    ['named, the name', { ...pullRule, resourceNames: ['4.5'] }, { ...pull, name: '4.5' }, true],
    ['named, another', { ...pullRule, resourceNames: ['4.5'] }, { ...pull, name: '4.6' }, false],
    ['no star for names', { ...pullRule, resourceNames: ['*'] }, { ...pull, name: '4.6' }, false],
    ['no names is every name', { ...pullRule, resourceNames: [] }, { ...pull, name: '4.6' }, true],
    ['no resources', { verbs: ['get'], nonResourceURLs: ['*'] }, pull, false],
    ['no resources at all', { verbs: ['*'], apiGroups: ['*'] }, pull, false],
    ['nothing asked', pullRule, {}, false],
  ]
  for (const [name, rule, asked, expected] of rows) test.equal(ruleAllows(rule, asked), expected, name)
})

await t.test('a binding to nothing grants nothing, and is named', async (test) => {
  const dangling = [
    bind('', 'a', 'ClusterRole/gone', group('g')),
    bind('ocp', 'b', 'ClusterRole/gone', group('g')),
    bind('ocp', 'c', 'Role/gone', group('g')),
    bind('ocp', 'd', 'Group/odd', group('g')),
    bind('', 'e', 'Role/lost', group('h')),
  ]
  const requester = user('u', 'g')
  test.same(createRbac(dangling).authorize(requester, pull), {
    allowed: false,
    reason:
      'RBAC: [clusterrole.rbac.authorization.k8s.io "gone" not found, role.rbac.authorization.k8s.io "gone" not found, ' +
      'unsupported role reference kind: "Group"]',
  })
  test.same(createRbac(dangling).authorize(user('u', 'h'), pull), {
    allowed: false,
    reason: 'RBAC: role.rbac.authorization.k8s.io "lost" not found',
  })
  const repaired = createRbac([...dangling, role('ocp', 'gone', pullRule)]).authorize(requester, pull)
  test.same(repaired, {
    allowed: true,
    reason: 'RBAC: allowed by RoleBinding "c/ocp" of Role "gone" to Group "g"',
  })
})

await t.test('only current RBAC objects count, and the last of two', async (test) => {
  const binding = bind('ocp', 'b', 'Role/r', group('g'))
  test.ok(pullAllowed(role('ocp', 'r', pullRule), binding))
  test.notOk(
    pullAllowed(role('ocp', 'r', pullRule), {
      ...binding,
      apiVersion: 'rbac.authorization.k8s.io/v1beta1',
    }),
  )
  test.notOk(pullAllowed(role('ocp', 'r', pullRule), role('ocp', 'r'), binding))
  test.notOk(
    pullAllowed({ apiVersion, kind: 'Role', metadata: { namespace: 'ocp', name: 'r' } }, binding),
    'no rules',
  )
  test.notOk(pullAllowed(clusterRole('r', null), bind('ocp', 'b', 'ClusterRole/r', group('g'))), 'null rules')
  test.notOk(pullAllowed(role('ocp', 'r', pullRule), { ...binding, subjects: undefined }), 'no subjects')
  test.notOk(pullAllowed(role('ocp', 'r', pullRule), { apiVersion: 'v1', kind: 'ServiceAccount' }))
  const nameless = { apiVersion, roleRef: { kind: 'ClusterRole', name: '' }, subjects: [group('g')] }
  test.ok(
    pullAllowed(
      { apiVersion, kind: 'ClusterRole', rules: [pullRule] },
      { ...nameless, kind: 'ClusterRoleBinding' },
      { apiVersion, kind: 'Role', metadata: { namespace: 'ocp' } },
      { ...nameless, kind: 'RoleBinding', metadata: { namespace: 'ocp' } },
    ),
    'objects without a name do no harm',
  )
})

await t.test('an object that an API server would refuse is named, and the others count', (test) => {
  const rbac = createRbac([
    { apiVersion, kind: 'Role', metadata: { name: 'r' } },
    role('ocp', 'r', pullRule),
    bind('ocp', 'b', 'Role/r', group('g')),
  ])
  test.ok(rbac.authorize(user('u', 'g'), pull).allowed)
  test.strictSame(rbac.skipped, ['Role "r": it has no metadata.namespace'])
  test.end()
})

await t.test('paths match as in the API server', async (test) => {
  const allows = (rule: object, path: string, verb = 'get', namespace = '') =>
    createRbac([clusterRole('r', [rule]), bind(namespace, 'b', 'ClusterRole/r', group('g'))]).authorize(
      user('u', 'g'),
      { verb, path },
    ).allowed
  const look = { verbs: ['get'], nonResourceURLs: ['/mirrors'] }
  test.equal(allows(look, '/mirrors'), true)
  test.equal(allows(look, '/mirrors/ocp/ubi:9'), false)
  test.equal(allows(look, '/mirrors', 'post'), false)
  test.equal(allows(look, '/mirrors', 'get', 'ocp'), false, 'a RoleBinding grants no path')
  const team = { verbs: ['*'], nonResourceURLs: ['/mirrors/ocp/*'] }
  test.equal(allows(team, '/mirrors/ocp/ubi:9', 'post'), true)
  test.equal(allows(team, '/mirrors/ocp-priv/ubi:9'), false)
  test.equal(allows({ verbs: ['get'], nonResourceURLs: ['*'] }, '/mirrors'), true)
  test.equal(allows({ ...pullRule }, '/mirrors'), false, 'a rule of resources grants no path')
  test.equal(pullAllowed(clusterRole('r', [team]), bind('', 'b', 'ClusterRole/r', group('g'))), false)
})
