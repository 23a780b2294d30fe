import t from 'tap'
import { openshiftRoles } from '../../../src/sandbox/app-ci/openshift-roles.ts'
import { createRbac } from '../../../src/sandbox/app-ci/rbac.ts'

const layers = {
  group: 'image.openshift.io',
  resource: 'imagestreams',
  subresource: 'layers',
  namespace: 'a',
}

await t.test('the rights to pull, push and see in the roles of every OpenShift', (test) => {
  const rows: readonly (readonly [role: string, pull: boolean, push: boolean, see: boolean])[] = [
    ['system:image-puller', true, false, false],
    ['system:image-signer', true, false, false],
    ['system:image-pusher', true, true, false],
    ['system:image-builder', true, true, false],
    ['registry-viewer', true, false, true],
    ['registry-editor', true, true, true],
    ['registry-admin', true, true, true],
    ['system:openshift:aggregate-to-view', false, false, true],
    ['view', true, false, true],
    ['edit', true, true, true],
    ['admin', true, true, true],
    ['cluster-reader', true, false, true],
    ['cluster-admin', true, true, true],
  ]
  for (const [role, pull, push, see] of rows) {
    const rbac = createRbac([
      ...openshiftRoles,
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { namespace: 'a', name: 'b' },
        roleRef: { kind: 'ClusterRole', name: role },
        subjects: [{ kind: 'User', name: 'u' }],
      },
    ])
    test.strictSame(rbac.skipped, [])
    const may = (attributes: object) =>
      rbac.authorize({ username: 'u', groups: [], extra: {} }, attributes).allowed
    test.strictSame(
      [
        may({ ...layers, verb: 'get' }),
        may({ ...layers, verb: 'update' }),
        may({ ...layers, verb: 'list', subresource: '' }),
      ],
      [pull, push, see],
      role,
    )
    test.notOk(may({ ...layers, verb: 'get', namespace: 'b' }), `${role} elsewhere`)
  }
  test.end()
})

await t.test('bound from the beginning: cluster administrators and readers, nobody else', (test) => {
  const rbac = createRbac(openshiftRoles)
  const may = (username: string, ...groups: string[]) =>
    rbac.authorize({ username, groups, extra: {} }, { ...layers, verb: 'get' }).allowed
  test.ok(may('system:admin'))
  test.ok(may('u', 'system:cluster-admins'))
  test.ok(may('u', 'system:cluster-readers'))
  test.notOk(may('u', 'system:authenticated', 'system:authenticated:oauth'))
  test.end()
})
