import t from 'tap'
import { clusterKindOf, serviceAccountOf } from '../../src/access/identity.ts'

await t.test('the kind of an identity is found by its reviewed name', async (test) => {
  const rows = [
    ['alice', 'user'],
    ['kube:admin', 'user'],
    ['not-a-system:serviceaccount:a:b', 'user'],
    ['system:serviceaccount:a:b', 'service-account'],
    ['system:anonymous', 'anonymous'],
  ] as const
  for (const [username, kind] of rows) test.equal(clusterKindOf(username), kind, username)
})

await t.test('namespace and name of a service account, and undefined for similar names', async (test) => {
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
