import t from 'tap'
import { loadOfflineReviews } from '../../../src/sandbox/app-ci/offline-reviews.ts'

const binding = (name: string, namespace: string, role: string, subject: string) => `---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: ${name}, namespace: ${namespace} }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ${role} }
subjects: [{ kind: Group, apiGroup: rbac.authorization.k8s.io, name: ${subject} }]
`

await t.test('reviews by the manifests of several folders', async (test) => {
  const folder = test.testdir({
    one: {
      'a.yaml': binding('pull', 'my-team', 'system:image-puller', 'team'),
      'b.yaml': binding('other', 'my-team', 'gone', 'lost'),
      'c.yaml': 'not: an object',
    },
    two: {
      'group.yaml':
        'apiVersion: user.openshift.io/v1\nkind: Group\nmetadata: { name: team }\nusers: [alice]\n',
    },
  })
  const { review, groupsOf, skipped, isWhole } = await loadOfflineReviews([`${folder}/one`, `${folder}/two`])
  const user = (...groups: readonly string[]) => ({ username: 'alice', groups, extra: {} })
  test.strictSame(groupsOf('alice'), ['team'])
  const app = { namespace: 'my-team', name: 'app' }
  test.match(review(user('team'), app), { answer: 'yes', because: /^allowed by RoleBinding .*"team"$/ })
  test.strictSame(review(user(), app), { answer: 'no' })
  test.match(review(user('lost'), app), { answer: 'unknown', because: /"gone" not found/ })
  test.equal(isWhole, true)
  test.match(skipped, [/c.yaml, document 1: not a Kubernetes object/])
  await test.rejects(loadOfflineReviews([`${folder}/three`]), /cannot read the manifests below/)
})
