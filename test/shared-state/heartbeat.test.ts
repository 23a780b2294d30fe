import t, { type Test } from 'tap'
import { Heartbeat, type HeartbeatOptions } from '../../src/shared-state/heartbeat.ts'
import { keys } from '../../src/shared-state/keys.ts'
import { openSession, type Session } from '../../src/shared-state/session.ts'
import { startFakeRedis } from './fake-redis.ts'
import { until } from './support.ts'

const setUp = async (test: Test, options: Partial<HeartbeatOptions> = {}) => {
  const server = await startFakeRedis()
  test.teardown(async () => await server.close())
  const session = await openSession({ url: server.url }, () => undefined)
  test.teardown(() => session.end(new Error('over')))
  const [steps, clock]: [string[], { now: number }] = [[], { now: 1e6 }]
  const step = (name: string) => void steps.push(name)
  const heartbeat = new Heartbeat({
    origin: 'a',
    log: { isLoaded: () => true },
    writer: {
      republish: () => step('republish'),
      flush: async () => step('flush'),
      republishAll: async () => {
        step('republishAll')
        return true
      },
    },
    lease: { isHeld: () => false, renew: async () => step('renew') },
    catchUp: async () => {
      step('catchUp')
      return true
    },
    onReplicas: (count) => step(`replicas ${count}`),
    now: () => clock.now,
    wallClock: Date.now,
    everyMs: 5,
    ...options,
  })
  return { server, session, heartbeat, steps, clock }
}

await t.test('a beat counts replicas, catches up, sends and renews, in this order', async (test) => {
  const { server, session, heartbeat, steps } = await setUp(test)
  await heartbeat.beat(session)
  test.strictSame(
    steps.filter((step) => step !== 'republish'),
    ['replicas 1', 'catchUp', 'flush', 'renew', 'republishAll'],
  )
  test.ok(server.database.sets.get(keys.replicas)!.has('a'))
})

await t.test('facts that the store lost are sent again at most once a minute', async (test) => {
  const { session: real, heartbeat, steps, clock } = await setUp(test)
  const session = Object.assign(Object.create(real), { patiently: async () => [3, 1] }) as Session
  const count = () => steps.filter((step) => step === 'republish').length
  await heartbeat.beat(session)
  await heartbeat.beat(session)
  test.equal(count(), 1)
  clock.now += 60_001
  await heartbeat.beat(session)
  test.equal(count(), 2)
  test.ok(steps.includes('replicas 3'))
})

await t.test(
  'a replica that has not loaded all facts sends nothing again, and does not sweep',
  async (test) => {
    const { server, session, heartbeat, steps } = await setUp(test, {
      log: { isLoaded: () => false },
      lease: { isHeld: () => true, renew: async () => undefined },
    })
    await heartbeat.beat(session)
    test.notOk(steps.includes('republishAll'))
    test.notOk(server.asked.has('HSCAN'))
  },
)

await t.test('the leader sweeps once an hour', async (test) => {
  const { server, session, heartbeat, clock } = await setUp(test, {
    lease: { isHeld: () => true, renew: async () => undefined },
  })
  const scans = () => server.asked.get('HSCAN') ?? 0
  await heartbeat.beat(session)
  await until(() => scans() >= 3, 'the first sweep is over')
  const first = scans()
  await heartbeat.beat(session)
  clock.now += 3_600_001
  await heartbeat.beat(session)
  await until(() => scans() >= 2 * first, 'the second sweep is over')
  test.equal(scans(), 2 * first)
})

await t.test('beats continue after a failure, stop on request, and end with the session', async (test) => {
  const { session, heartbeat, steps } = await setUp(test, {
    catchUp: async () => {
      throw new Error('no answer')
    },
  })
  const running = heartbeat.run(session)
  await until(() => steps.filter((step) => step.startsWith('replicas')).length > 2, 'it beats')
  heartbeat.stop()
  const before = steps.length
  // Many times as long as between two beats: one may have been under way.
  await new Promise((resolve) => setTimeout(resolve, 100))
  test.ok(steps.length <= before + 2, `${steps.length - before} steps after the end`)
  session.end(new Error('over'))
  await running
})

await t.test('beats come every two seconds unless given', async (test) => {
  const { session, heartbeat, steps } = await setUp(test, { everyMs: undefined })
  const running = heartbeat.run(session)
  session.end(new Error('over'))
  await running
  test.strictSame(steps, [])
})
