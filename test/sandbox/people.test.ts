import t from 'tap'
import type { Test } from 'tap'
import { identitiesIn } from '../../src/sandbox/app-ci/identities.ts'
import { startKubernetesApi } from '../../src/sandbox/app-ci/kubernetes-api.ts'
import { openshiftRoles } from '../../src/sandbox/app-ci/openshift-roles.ts'
import type { KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'
import { choosePeople, reachText } from '../../src/sandbox/people.ts'
import { bind, group } from './app-ci/rbac-objects.ts'

const isRestricted = (namespace: string) => namespace.endsWith('-priv')
const puller = 'ClusterRole/system:image-puller'

const choose = async (test: Test, names: readonly string[], objects: readonly KubernetesObject[]) => {
  const kubernetes = await startKubernetesApi({ objects: [...openshiftRoles, ...objects] })
  test.teardown(() => kubernetes.close())
  const identities = identitiesIn(objects)
  return choosePeople(names, {
    kubernetes,
    identities,
    isRestricted,
    qciNamespace: 'ocp',
    namespaces: ['asked'],
  })
}

await t.test(
  'one of each kind and reach, those who reach most first, and somebody who reaches nothing',
  async (test) => {
    const people = await choose(
      test,
      [],
      [
        bind('unrelated', 'a', 'ClusterRole/none', group('nothing')),
        bind('team', 'b', puller, group('team'), group('team-too'), { kind: 'ServiceAccount', name: 'sa' }),
        bind('x-priv', 'c', puller, group('embargoed')),
        bind('ocp', 'd', puller, group('wide'), group('everything'), { kind: 'User', name: 'ursula' }),
        bind('x-priv', 'e', puller, group('everything')),
        bind('ocp', 'f', puller, group('system:masters')),
      ],
    )
    test.strictSame(
      people.map(({ username, who, reach }) => `${username}, ${who}: ${reachText(reach, isRestricted)}`),
      [
        'somebody-of-everything, of the group everything: every namespace that is not restricted, x-priv',
        'somebody-of-wide, of the group wide: every namespace that is not restricted',
        'ursula, a user, in no group: every namespace that is not restricted',
        'somebody-of-embargoed, of the group embargoed: x-priv',
        'somebody-of-team, of the group team: team',
        'system:serviceaccount:team:sa, a service account: team',
        'mallory, a valid login in no group: nothing',
      ],
    )
  },
)

await t.test(
  'by name: users with their groups, groups, service accounts, and who is nobody',
  async (test) => {
    const objects = [
      bind('asked', 'a', puller, group('g')),
      bind('team', 'b', puller, { kind: 'ServiceAccount', name: 'sa' }),
      { apiVersion: 'user.openshift.io/v1', kind: 'Group', metadata: { name: 'g' }, users: ['u'] },
    ]
    const names = ['u', 'group:g', 'system:serviceaccount:team:sa', 'stranger']
    const people = await choose(test, names, objects)
    test.strictSame(
      people.map(({ username, who, reach }) => `${username}, ${who}: ${reachText(reach, isRestricted)}`),
      [
        'u, of the group g: asked',
        'somebody-of-g, of the group g: asked',
        'system:serviceaccount:team:sa, a service account: team',
        'stranger, a user, in no group: nothing',
      ],
    )
  },
)

await t.test('a long list is cut', (test) => {
  const namespaces = Array.from({ length: 9 }, (_, index) => `n${index}`)
  test.equal(reachText({ isQciWide: false, namespaces }, isRestricted), 'n0, n1, n2, n3, n4, n5, 3 more')
  test.equal(
    reachText({ isQciWide: true, namespaces }, isRestricted),
    'every namespace that is not restricted',
  )
  test.end()
})
