import t from 'tap'
import type { KubernetesObject } from '../../../src/sandbox/app-ci/kubernetes-object.ts'
import { createRbac } from '../../../src/sandbox/app-ci/rbac.ts'
import { readPolicy } from '../../../src/sandbox/app-ci/rbac-policy.ts'
import { apiVersion, bind, clusterRole, group, pull, pullRule, user } from './rbac-objects.ts'

const pullAllowed = (...objects: KubernetesObject[]) =>
  createRbac(objects).authorize(user('u', 'g'), pull).allowed

const sumAllows = (...objects: KubernetesObject[]) =>
  pullAllowed(...objects, bind('ocp', 'b', 'ClusterRole/sum', group('g')))
const roleRef = { kind: 'Role', name: 'r' }

await t.test(
  'an object that an API server would refuse grants nothing, and is named with its reason',
  (test) => {
    const rows: readonly (readonly [object: object, skipped: string])[] = [
      [{ kind: 'Role', metadata: { name: 'r' } }, 'Role "r": it has no metadata.namespace'],
      [{ kind: 'RoleBinding', roleRef }, 'RoleBinding "": it has no metadata.namespace'],
      [
        { kind: 'RoleBinding', metadata: { namespace: 'a', name: 'b' } },
        'RoleBinding "a/b": it refers to no role',
      ],
      [
        { kind: 'ClusterRoleBinding', metadata: { name: 'b' }, roleRef: null },
        'ClusterRoleBinding "b": it refers to no role',
      ],
      [
        { kind: 'ClusterRoleBinding', metadata: { name: 'b' }, roleRef, subjects: [null] },
        'ClusterRoleBinding "b": its subjects are not a list of subjects',
      ],
      [
        { kind: 'ClusterRole', metadata: { name: 'r' }, rules: { verbs: ['get'] } },
        'ClusterRole "r": its rules are not a list of rules',
      ],
      [
        { kind: 'ClusterRole', metadata: { name: 'r' }, rules: [{ verbs: 'get' }] },
        'ClusterRole "r": its rules are not a list of rules',
      ],
      [
        { kind: 'ClusterRole', metadata: { name: 'r' }, rules: [{ verbs: [1] }] },
        'ClusterRole "r": its rules are not a list of rules',
      ],
      [
        { kind: 'ClusterRole', apiVersion: 'rbac.authorization.k8s.io/v1beta1', metadata: { name: 'r' } },
        'ClusterRole "r": API servers of today have no rbac.authorization.k8s.io/v1beta1',
      ],
      ...[
        'text',
        { clusterRoleSelectors: {} },
        { clusterRoleSelectors: [null] },
        { clusterRoleSelectors: [{ matchExpressions: {} }] },
        { clusterRoleSelectors: [{ matchExpressions: [null] }] },
        { clusterRoleSelectors: [{ matchExpressions: [{ key: 'k', operator: 'In', values: 5 }] }] },
      ].map((aggregationRule): readonly [object, string] => [
        { kind: 'ClusterRole', metadata: { name: 'r' }, aggregationRule },
        'ClusterRole "r": its aggregationRule is not a list of selectors',
      ]),
      ...[
        { kind: 'User', name: 12_345 },
        { kind: 7, name: 'x' },
        { kind: 'ServiceAccount', name: 'x', namespace: 5 },
      ].map((subject): readonly [object, string] => [
        { kind: 'ClusterRoleBinding', metadata: { name: 'b' }, roleRef, subjects: [subject] },
        'ClusterRoleBinding "b": its subjects are not a list of subjects',
      ]),
      [
        { kind: 'RoleBinding', metadata: { namespace: 34, name: 'b' }, roleRef },
        'RoleBinding "34/b": its name or namespace is not a text',
      ],
      [
        {
          kind: 'RoleBinding',
          apiVersion: 'authorization.openshift.io/v1',
          metadata: { namespace: 'a', name: 'b' },
          roleRef: { name: 'r', namespace: 'c' },
        },
        'RoleBinding "a/b": it refers to a role of namespace "c"',
      ],
    ]
    for (const [object, skipped] of rows) {
      const policy = readPolicy([{ apiVersion, ...object }])
      test.strictSame(policy.skipped, [skipped])
      for (const held of [policy.roles, policy.clusterRoles, policy.grants]) test.equal(held.size, 0, skipped)
      test.strictSame(policy.clusterGrants, [])
    }
    test.end()
  },
)

await t.test('other kinds, and kinds of other groups, are of no account', (test) => {
  const others = [
    { apiVersion: 'v1', kind: 'ServiceAccount' },
    { apiVersion: 'iam.example.com/v1', kind: 'Role' },
    { kind: 'Role' },
    { apiVersion: 'authorization.openshift.io/v1', kind: 'RoleBindingRestriction' },
  ]
  test.strictSame(readPolicy(others).skipped, [])
  test.equal(readPolicy(others).roles.size, 0)
  test.end()
})

await t.test('the last of two counts, whichever way they are written', (test) => {
  const role = (version: string, verbs: string[]) => ({
    apiVersion: version,
    kind: 'Role',
    metadata: { namespace: 'a', name: 'r' },
    rules: [{ verbs, apiGroups: [''], resources: ['x'] }],
  })
  const { roles } = readPolicy([role(apiVersion, ['get']), role('authorization.openshift.io/v1', ['list'])])
  test.match(roles.get('a/r'), [{ verbs: ['list'] }])
  test.equal(roles.get('a/r')?.length, 1)
  test.end()
})

await t.test(
  'an aggregated ClusterRole holds the rules of those it selects, and none of its own',
  async (test) => {
    const sum = (...clusterRoleSelectors: object[]) =>
      clusterRole('sum', null, { aggregationRule: { clusterRoleSelectors } }, { sum: 'yes' })
    const part = clusterRole('part', [pullRule], {}, { part: 'yes', team: 'a' })

    test.ok(
      sumAllows(part, sum({ matchLabels: { part: 'no' } }, { matchLabels: { part: 'yes', team: 'a' } })),
    )
    test.notOk(sumAllows(part, sum({ matchLabels: { part: 'yes', team: 'b' } })))
    test.notOk(
      sumAllows(part, clusterRole('sum', [pullRule], { aggregationRule: {} })),
      'its own rules are overwritten',
    )
    test.ok(sumAllows(clusterRole('sum', [pullRule], { aggregationRule: null })), 'null is no aggregation')
    test.ok(
      sumAllows({ apiVersion, kind: 'ClusterRole', metadata: { name: 'p' }, rules: [pullRule] }, sum({})),
      'all',
    )

    const expression = (operator: string, key: string, values?: string[]) =>
      sumAllows(part, sum({ matchExpressions: [{ key, operator, values }] }))
    test.ok(expression('Exists', 'team'))
    test.notOk(expression('Exists', 'none'))
    test.ok(expression('DoesNotExist', 'none'))
    test.notOk(expression('DoesNotExist', 'team'))
    test.ok(expression('In', 'team', ['b', 'a']))
    test.notOk(expression('In', 'none', ['']))
    test.notOk(expression('In', 'team'))
    test.ok(expression('NotIn', 'none', ['a']))
    test.notOk(expression('Odd', 'team', ['a']))
    test.ok(
      sumAllows(
        part,
        sum({ matchLabels: { middle: 'yes' } }),
        clusterRole(
          'middle',
          [],
          {
            aggregationRule: {
              clusterRoleSelectors: [{ matchLabels: { part: 'yes' } }, { matchLabels: { sum: 'yes' } }],
            },
          },
          { middle: 'yes' },
        ),
      ),
      'through a role in between, and round in a circle',
    )
  },
)

await t.test('a list that is not there is an empty one', (test) => {
  const metadata = { namespace: 'a', name: 'b' }
  const policy = readPolicy([
    { apiVersion, kind: 'Role', metadata },
    { apiVersion, kind: 'ClusterRole', metadata: { name: 'c' }, rules: null },
    { apiVersion, kind: 'RoleBinding', metadata, roleRef },
    { apiVersion, kind: 'ClusterRoleBinding', metadata: { name: 'c' }, roleRef, subjects: null },
  ])
  test.strictSame(policy.skipped, [])
  test.strictSame(policy.roles.get('a/b'), [])
  test.strictSame(policy.clusterRoles.get('c'), [])
  test.match(policy.grants.get('a'), [
    { namespace: 'a', description: 'RoleBinding "b/a" of Role "r"', subjects: [] },
  ])
  test.match(policy.clusterGrants, [
    { namespace: '', description: 'ClusterRoleBinding "c" of Role "r"', subjects: [] },
  ])
  test.end()
})
