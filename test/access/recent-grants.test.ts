import t from 'tap'
import { createRememberedGrants, localGrants, type SharedGrants } from '../../src/access/remembered-grants.ts'
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

await t.test('what one replica records another one can look up', async (test) => {
  const { shared } = sharing()
  const [one, other] = [createRememberedGrants(shared), createRememberedGrants(shared)]
  test.notOk(await other.lookUp(alice), 'nothing to know')
  await one.record(alice, { namespace: 'my-team', name: 'app' })
  test.equal(one.holds(alice, { namespace: 'my-team', name: 'app' }), 'stream')
  test.equal(other.holds(alice, { namespace: 'my-team', name: 'app' }), undefined)
  test.ok(await other.lookUp(alice))
  test.notOk(await other.lookUp(alice), 'it is no news twice')
  for (const rememberedGrants of [one, other]) {
    test.equal(rememberedGrants.holds(alice, { namespace: 'my-team', name: 'app' }), 'stream')
    test.equal(rememberedGrants.holds(alice, { namespace: 'my-team', name: 'other' }), 'namespace')
    test.equal(rememberedGrants.holds(alice, { namespace: 'my-team-2', name: 'app' }), undefined)
    test.equal(rememberedGrants.holds(bob, { namespace: 'my-team', name: 'app' }), undefined)
  }
})

await t.test('a new token of the same account is let into the same namespaces', async (test) => {
  const rememberedGrants = localGrants()
  await rememberedGrants.record(person('alice', 'one token'), { namespace: 'my-team' })
  test.equal(rememberedGrants.holds(person('alice', 'another'), { namespace: 'my-team' }), 'stream')
  test.notOk(await rememberedGrants.lookUp(alice))
})

await t.test('the newest places are kept, as many as one decision asks for', async (test) => {
  const { shared } = sharing()
  const rememberedGrants = createRememberedGrants(shared)
  for (let number = 0; number < 20; number++)
    await rememberedGrants.record(alice, { namespace: `n${number}` })
  const held = Array.from({ length: 20 }, (_, number) =>
    rememberedGrants.holds(alice, { namespace: `n${number}` }),
  )
  test.strictSame(held, [...Array<undefined>(4).fill(undefined), ...Array<string>(16).fill('stream')])
})
