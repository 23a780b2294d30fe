import t from 'tap'
import { PoolMember } from '../../../src/upstream/robot/pool-member.ts'
import { settled } from '../../concurrency/fake-clock.ts'

const credential = { username: 'openshift+ci', password: 'of-the-robot' }

const setUp = () => {
  const clock = { now: 0 }
  const state = { status: 200, logins: 0 }
  const member = new PoolMember(
    {
      upstream: new URL('https://quay.io'),
      repository: 'openshift/ci',
      get: async (url) => {
        if (url.pathname === '/v2/')
          return { status: 401, body: '', challenge: 'Bearer realm="https://quay.io/v2/auth"' }
        state.logins += 1
        return {
          status: state.status,
          body: JSON.stringify({ token: `t${state.logins}`, expires_in: 3600 }),
        }
      },
      onRefused: () => undefined,
      now: () => clock.now,
    },
    credential,
  )
  return { member, clock, state }
}

await t.test('a member has its own credential, and no other', async (test) => {
  const { member } = setUp()
  test.ok(member.has({ ...credential }))
  test.notOk(member.has({ ...credential, password: 'another' }))
  test.notOk(member.has({ ...credential, username: 'another' }))
})

await t.test('a probe goes out before the first use, and again when the quarantine is over', async (test) => {
  const { member, clock, state } = setUp()
  test.notOk(member.attempted())
  member.probe()
  await settled()
  test.ok(member.attempted())
  member.probe()
  await settled()
  test.equal(state.logins, 1, 'a healthy robot is not probed')
  state.status = 401
  test.equal(member.invalidate('Bearer t1'), 'old')
  await test.rejects(member.authorization())
  test.notOk(member.isHealthy())
  member.probe()
  await settled()
  test.equal(state.logins, 2, 'not in quarantine')
  clock.now += 30_000
  state.status = 200
  member.probe()
  await settled()
  test.equal(state.logins, 3)
  test.ok(member.isHealthy())
})

await t.test('a rejected token is old, fresh, or known to be rejected', async (test) => {
  const { member, clock } = setUp()
  clock.now = 100_000
  test.equal(await member.authorization(), 'Bearer t1')
  test.equal(member.invalidate('Bearer t1'), 'old')
  test.equal(member.invalidate('Bearer t1'), 'seen')
  test.equal(await member.authorization(), 'Bearer t2')
  test.equal(member.invalidate('Bearer t2'), 'fresh')
  test.equal(await member.authorization(), 'Bearer t3')
  clock.now += 60_000
  test.equal(member.invalidate('Bearer t3'), 'old')
})
