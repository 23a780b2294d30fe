import t from 'tap'
import { kindOf, serviceAccountOf, type Identity } from '../../src/access/identity.ts'

await t.test('the sort of an identity, by the name that the cluster gave', async (test) => {
  const named = (username: string, kind: Identity['kind'] = 'cluster') =>
    kindOf({ kind, key: username, user: { username, groups: [], extra: {} } })
  const rows = [
    ['alice', 'person'],
    ['kube:admin', 'person'],
    ['not-a-system:serviceaccount:a:b', 'person'],
    ['system:serviceaccount:a:b', 'service account'],
    ['system:anonymous', 'anonymous'],
  ] as const
  for (const [username, kind] of rows) test.equal(named(username), kind, username)
  test.equal(named('system:serviceaccount:a:b', 'robot'), 'robot')
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
