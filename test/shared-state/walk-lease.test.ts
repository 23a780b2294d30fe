import t from 'tap'
import type { Reply } from '../../src/shared-state/reply.ts'
import {
  leadScript,
  readIndexScript,
  releaseScript,
  writeIndexScript,
} from '../../src/shared-state/scripts.ts'
import { WalkLease } from '../../src/shared-state/walk-lease.ts'

const setUp = () => {
  const clock = { now: 0 }
  const asked: string[] = []
  const replies = new Map<string, Reply | Error>()
  const names = new Map([
    [leadScript.lua, 'lead'],
    [releaseScript.lua, 'release'],
    [writeIndexScript.lua, 'write'],
    [readIndexScript.lua, 'read'],
  ])
  const lease = new WalkLease({
    origin: 'me',
    now: () => clock.now,
    command: async (args) => {
      const name = names.get(String(args[1]))!
      asked.push(name)
      const reply = replies.get(name) ?? new Error('unavailable')
      if (reply instanceof Error) throw reply
      return reply
    },
  })
  return { clock, asked, replies, lease }
}

await t.test(
  'the lease is held for 13 of the 15 seconds that the store grants, counted from before the command',
  async (test) => {
    const { clock, asked, replies, lease } = setUp()
    replies.set('lead', 1)
    test.same(await Promise.all([lease.tryLead(), lease.tryLead()]), [true, true])
    test.same(asked, ['lead'], 'asked once')
    clock.now = 12_999
    replies.set('lead', new Error('unavailable'))
    await lease.renew()
    test.ok(await lease.tryLead())
    clock.now = 13_000
    test.notOk(await lease.tryLead(), 'contact was lost')
    await lease.renew()
    test.equal(asked.length, 3, 'what is not held is not renewed')
  },
)

await t.test('another replica has the lease, or takes it', async (test) => {
  const { replies, lease } = setUp()
  replies.set('lead', 0)
  test.notOk(await lease.tryLead())
  replies.set('lead', 1)
  test.ok(await lease.tryLead())
  replies.set('lead', 0)
  await lease.renew()
  test.notOk(lease.isHeld())
})

await t.test('a lease is released once, also while the store is unavailable', async (test) => {
  const { asked, replies, lease } = setUp()
  await lease.release()
  replies.set('lead', 1)
  await lease.tryLead()
  await lease.release()
  await lease.release()
  test.same(asked, ['lead', 'release'])
  test.notOk(lease.isHeld())
})

await t.test('the state of the walk', async (test) => {
  const { replies, lease } = setUp()
  const state = { liveCompleteAt: 1, datedCompleteAt: 2, datedSeenUpTo: '', namespaces: [] }
  test.notOk(await lease.write(state))
  test.equal(await lease.read(), undefined)
  replies.set('write', 0).set('read', null)
  test.notOk(await lease.write(state), 'another one leads')
  test.equal(await lease.read(), undefined)
  replies.set('write', 1).set('read', Buffer.from(JSON.stringify(state)))
  test.ok(await lease.write(state))
  test.same(await lease.read(), state)
})
