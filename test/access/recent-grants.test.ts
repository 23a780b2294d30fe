import t from 'tap'
import { createRecentGrants, localGrants, type SharedGrants } from '../../src/access/recent-grants.ts'
import type { ClusterIdentity } from '../../src/access/identity.ts'

const person = (username: string, key = username): ClusterIdentity => ({
  kind: 'user',
  key,
  user: { username, groups: [], extra: {} },
})
const [alice, bob] = [person('alice'), person('bob')]

/** What replicas share, in this process. */
const sharing = () => {
  const told = new Map<string, string[]>()
  const shared: SharedGrants = {
    publish: async (holder, place) => void told.set(holder, [place, ...(told.get(holder) ?? [])]),
    read: async (holder) => told.get(holder) ?? [],
  }
  return { shared }
}

await t.test('a grant that one replica records can be read by another one', async (test) => {
  const { shared } = sharing()
  const [one, other] = [createRecentGrants(shared), createRecentGrants(shared)]
  test.notOk(await other.lookUp(alice), 'nothing to know')
  await one.record(alice, { namespace: 'my-team', name: 'app' })
  test.equal(one.match(alice, { namespace: 'my-team', name: 'app' }), 'stream')
  test.equal(other.match(alice, { namespace: 'my-team', name: 'app' }), undefined)
  test.ok(await other.lookUp(alice))
  test.notOk(await other.lookUp(alice), 'it is no news twice')
  for (const recentGrants of [one, other]) {
    test.equal(recentGrants.match(alice, { namespace: 'my-team', name: 'app' }), 'stream')
    test.equal(recentGrants.match(alice, { namespace: 'my-team', name: 'other' }), 'namespace')
    test.equal(recentGrants.match(alice, { namespace: 'my-team-2', name: 'app' }), undefined)
    test.equal(recentGrants.match(bob, { namespace: 'my-team', name: 'app' }), undefined)
  }
})

await t.test('a new token of the same user has the same recent grants', async (test) => {
  const recentGrants = localGrants()
  await recentGrants.record(person('alice', 'one token'), { namespace: 'my-team' })
  test.equal(recentGrants.match(person('alice', 'another'), { namespace: 'my-team' }), 'stream')
  test.notOk(await recentGrants.lookUp(alice))
})

await t.test('the newest grants are stored, as many as one decision reviews', async (test) => {
  const { shared } = sharing()
  const recentGrants = createRecentGrants(shared)
  for (let number = 0; number < 20; number++) await recentGrants.record(alice, { namespace: `n${number}` })
  const held = Array.from({ length: 20 }, (_, number) =>
    recentGrants.match(alice, { namespace: `n${number}` }),
  )
  test.strictSame(held, [...Array<undefined>(4).fill(undefined), ...Array<string>(16).fill('stream')])
})
