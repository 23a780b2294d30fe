import t from 'tap'
import { createBreaker } from '../../src/kubernetes/breaker.ts'

const timeout = new Error('timeout')
const refusal = new Error('refused at once')

const breakerFor = () => {
  const clock = { now: 0 }
  const breaker = createBreaker({
    isTimeout: (error) => error === timeout,
    refuse: () => refusal,
    retryMs: 100,
    now: () => clock.now,
  })
  /** A question that takes so long, and what becomes of it. */
  const ask = (takes: number, error?: Error) =>
    breaker(async () => {
      clock.now += takes
      if (error !== undefined) throw error
      return 'answer'
    })
  return { clock, breaker, ask }
}

await t.test(
  'a question that ran out of time opens it; one at a time finds out about the return',
  async (t) => {
    const { clock, breaker, ask } = breakerFor()
    t.equal(await ask(1), 'answer')
    await t.rejects(ask(2000, timeout), timeout)
    let asked = 0
    const count = breaker(() => Promise.resolve(asked++))
    await t.rejects(count, refusal)
    t.equal(asked, 0, 'nobody was asked')
    clock.now += 100
    const probe = Promise.withResolvers<string>()
    const probing = breaker(() => probe.promise)
    await t.rejects(ask(1), refusal, 'one is out already')
    probe.resolve('back')
    t.equal(await probing, 'back')
    t.equal(await ask(1), 'answer', 'closed again')
  },
)

await t.test('still away: it stays open for as long again', async (t) => {
  const { clock, ask } = breakerFor()
  await t.rejects(ask(2000, timeout), timeout)
  clock.now += 100
  await t.rejects(ask(2000, timeout), timeout)
  await t.rejects(ask(1), refusal)
  clock.now += 100
  t.equal(await ask(1), 'answer')
})

await t.test(
  'a failure that comes fast does not open it, and closes it when it comes from an attempt',
  async (t) => {
    const { clock, ask } = breakerFor()
    const error = new Error('500')
    await t.rejects(ask(1, error), error)
    t.equal(await ask(1), 'answer')
    await t.rejects(ask(2000, timeout), timeout)
    clock.now += 100
    await t.rejects(ask(1, error), error)
    t.equal(await ask(1), 'answer', 'it answers, if only with errors')
  },
)

await t.test('one slow question among answered ones says nothing about the server', async (t) => {
  const { clock, breaker, ask } = breakerFor()
  const slow = Promise.withResolvers<string>()
  const asking = breaker(() => slow.promise)
  clock.now += 10
  t.equal(await ask(1), 'answer')
  slow.reject(timeout)
  await t.rejects(asking, timeout)
  t.equal(await ask(1), 'answer')
})

await t.test('by the clock of the process, for a second', async (t) => {
  const breaker = createBreaker({ isTimeout: () => true, refuse: () => refusal })
  await t.rejects(
    breaker(async () => Promise.reject(timeout)),
    timeout,
  )
  await t.rejects(
    breaker(async () => Promise.resolve(1)),
    refusal,
  )
})
