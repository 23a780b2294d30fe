import t from 'tap'
import { kindOf, type Identity } from '../../src/access/identity.ts'

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
