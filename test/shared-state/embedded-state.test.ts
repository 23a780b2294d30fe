import t from 'tap'
import { createEmbeddedState } from '../../src/shared-state/embedded-state.ts'
import { replicaOf, tagFact } from './support.ts'

const index = { liveCompleteAt: 1, datedCompleteAt: 2, datedSeenUpTo: '2026', namespaces: [] }

await t.test('a single replica leads, is up to date, and stores nothing for a restart', async (test) => {
  const { state, learn } = replicaOf(createEmbeddedState)
  await state.start()
  await learn(tagFact('base'))
  test.ok(await state.facts.catchUp())
  test.ok(state.facts.isCertain())
  await state.grants.publish('alice', 'my-team')
  test.same(await state.grants.read('alice'), [], 'there is nobody else to tell')
  test.ok(await state.index.tryLead())
  test.equal(await state.index.read(), undefined)
  test.ok(await state.index.write(index))
  test.same(await state.index.read(), index)
  test.match(state.status(), { state: 'embedded', replicas: 1, isLoaded: true })
  state.failedLogins.publish({ address: 'abc' })
  state.failedLogins.onCharge(() => test.fail('there is nobody else'))
  await state.close()
})

await t.test('each replica has its share of the rate', async (test) => {
  let now = 0
  const { state } = replicaOf(createEmbeddedState, { replicas: 3, now: () => now })
  const bucket = state.tokenBucket('manifest', { perSecond: 30, burst: 6 })
  test.same([bucket.take(), bucket.take(), bucket.take()], [true, true, false])
  test.equal(bucket.opensInMs(), 100)
  now = 40
  test.same(state.status(), { state: 'embedded', sinceMs: 40, replicas: 3, isLoaded: true })
})

await t.test('a state directory stores facts and the state of the walk for a restart', async (test) => {
  const stateDir = test.testdir()
  const first = replicaOf(createEmbeddedState, { stateDir })
  await first.state.start()
  await first.learn(tagFact('secret', true))
  await first.state.index.write(index)
  await first.state.close()
  const second = replicaOf(createEmbeddedState, { stateDir })
  await second.state.start()
  test.ok(second.knows(tagFact('secret', true)))
  test.same(await second.state.index.read(), index)
  await second.state.close()
  const forgetful = replicaOf(createEmbeddedState, { stateDir, hasForgotten: () => true })
  await forgetful.state.start()
  test.same(await forgetful.state.index.read(), index)
  await forgetful.state.close()
  const next = replicaOf(createEmbeddedState, { stateDir })
  await next.state.start()
  test.equal(await next.state.index.read(), undefined, 'without all facts that close, the walk begins again')
  await next.state.close()
  const broken = replicaOf(createEmbeddedState, {
    stateDir: test.testdir({ state: 'x' }),
    onWarning: undefined as never,
  })
  await broken.state.start()
  test.equal(await broken.state.index.read(), undefined, 'unknown is not complete')
  await broken.state.close()
})
