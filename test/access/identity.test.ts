import t from 'tap'
import { clusterKindOf, serviceAccountOf } from '../../src/access/identity.ts'

await t.test('the kind of an identity, by the name that the cluster gave', async (test) => {
  const rows = [
    ['alice', 'user'],
    ['kube:admin', 'user'],
    ['not-a-system:serviceaccount:a:b', 'user'],
    ['system:serviceaccount:a:b', 'service-account'],
    ['system:anonymous', 'anonymous'],
  ] as const
  for (const [username, kind] of rows) test.equal(clusterKindOf(username), kind, username)
})

await t.test('both names of a service account, and of nothing that only looks like one', async (test) => {
  test.same(serviceAccountOf('system:serviceaccount:my-team:image-puller'), {
    namespace: 'my-team',
    name: 'image-puller',
  })
  for (const username of [
    'alice',
    'system:serviceaccount:my-team',
    'system:serviceaccount:a:b:c',
    'x system:serviceaccount:a:b',
  ])
    test.equal(serviceAccountOf(username), undefined, username)
})
