import t from 'tap'
import { asStored } from '../../../src/sandbox/app-ci/legacy-rbac.ts'
import { createRbac } from '../../../src/sandbox/app-ci/rbac.ts'
import type { KubernetesObject } from '../../../src/sandbox/app-ci/rbac.ts'

const apiVersion = 'authorization.openshift.io/v1'
const rbac = 'rbac.authorization.k8s.io/v1'
const pull = { verb: 'get', group: 'image.openshift.io', resource: 'imagestreams', subresource: 'layers' }
const rule = { verbs: ['get'], apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'] }

await t.test('roles and bindings of OpenShift are ordinary RBAC, of either kind together', (test) => {
  const metadata = { namespace: 'ocp-priv', name: 'b' }
  const subjects = [{ kind: 'Group', name: 'trt-admins' }]
  const clusterRole = { kind: 'ClusterRole', metadata: { name: 'r' }, rules: [rule] }
  const role = { kind: 'Role', metadata: { namespace: 'ocp-priv', name: 'r' }, rules: [rule] }
  const refs = [
    [clusterRole, { name: 'r' }, { kind: 'ClusterRole', name: 'r' }],
    [role, { name: 'r', namespace: 'ocp-priv' }, { kind: 'Role', name: 'r' }],
  ] as const
  for (const [granted, legacyRef, roleRef] of refs)
    for (const roleVersion of [apiVersion, rbac])
      for (const bindingVersion of [apiVersion, rbac]) {
        const decided = createRbac([
          { apiVersion: roleVersion, ...granted },
          {
            apiVersion: bindingVersion,
            kind: 'RoleBinding',
            metadata,
            roleRef: bindingVersion === rbac ? roleRef : legacyRef,
            subjects,
          },
        ])
        const requester = { username: 'u', groups: ['trt-admins'], extra: {} }
        const what = `${granted.kind} of ${roleVersion}, bound by ${bindingVersion}`
        test.ok(decided.authorize(requester, { ...pull, namespace: 'ocp-priv' }).allowed, what)
        test.notOk(decided.authorize(requester, { ...pull, namespace: 'ocp' }).allowed, what)
        test.notOk(
          decided.authorize({ ...requester, groups: [] }, { ...pull, namespace: 'ocp-priv' }).allowed,
        )
      }
  test.end()
})

await t.test('rules: no attribute restrictions, and the core group where none is named', (test) => {
  const stored = (rules: unknown) => asStored({ apiVersion, kind: 'ClusterRole', rules })['rules']
  test.strictSame(stored([{ ...rule, attributeRestrictions: { kind: 'IsPersonalSubjectAccessReview' } }]), [])
  test.strictSame(stored([{ ...rule, attributeRestrictions: null }]), [
    { ...rule, attributeRestrictions: null },
  ])
  test.match(stored([{ verbs: ['get'], resources: ['pods'], apiGroups: null }]), [{ apiGroups: [''] }])
  test.strictSame(stored([{ verbs: ['get'], nonResourceURLs: ['/'] }]), [
    { verbs: ['get'], nonResourceURLs: ['/'] },
  ])
  test.strictSame(stored(null), [])
  test.end()
})

await t.test('subjects: system kinds, and the older lists of names', (test) => {
  const stored = (more: object) =>
    asStored({ apiVersion, kind: 'ClusterRoleBinding', roleRef: { name: 'r' }, ...more })
  const kinds = ['User', 'SystemUser', 'Group', 'SystemGroup', 'ServiceAccount'].map((kind) => ({
    kind,
    name: 'a',
  }))
  test.strictSame(
    (stored({ subjects: kinds })['subjects'] as { kind: string }[]).map(({ kind }) => kind),
    ['User', 'User', 'Group', 'Group', 'ServiceAccount'],
  )
  test.match(stored({}), { apiVersion: rbac, roleRef: { kind: 'ClusterRole', name: 'r' }, subjects: [] })
  test.strictSame(stored({ subjects: [{ name: 'nothing' }] })['subjects'], [{ name: 'nothing', kind: '' }])
  test.strictSame(stored({ userNames: ['u'], groupNames: null, subjects: kinds })['subjects'], [
    { kind: 'User', name: 'u' },
  ])
  test.strictSame(stored({ groupNames: ['g'] })['subjects'], [{ kind: 'Group', name: 'g' }])
  test.end()
})

await t.test('anything else stays as it is', (test) => {
  const objects: KubernetesObject[] = [
    { apiVersion: rbac, kind: 'Role' },
    { apiVersion, kind: 'RoleBindingRestriction' },
  ]
  for (const object of objects) test.equal(asStored(object), object)
  test.throws(() => asStored({ apiVersion, kind: 'ClusterRoleBinding', roleRef: { namespace: 'a' } }), {
    message: 'it refers to a role of namespace "a"',
  })
  test.match(asStored({ apiVersion, kind: 'ClusterRoleBinding' }), { roleRef: { kind: 'ClusterRole' } })
  test.end()
})
