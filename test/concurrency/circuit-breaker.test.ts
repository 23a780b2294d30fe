import t from 'tap'
import { createCircuitBreaker } from '../../src/concurrency/circuit-breaker.ts'

const timeout = new Error('timeout')
const refusal = new Error('refused at once')

const breakerFor = (threshold?: number) => {
  const clock = { now: 0 }
  const breaker = createCircuitBreaker({
    isTransient: (error) => error === timeout,
    refuse: () => refusal,
    ...(threshold === undefined ? {} : { threshold }),
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
  /** One that is answered when the test says so; whether it was asked at all. */
  const pending = () => {
    const answer = Promise.withResolvers<string>()
    const seen = { asked: 0 }
    const outcome = breaker(() => {
      seen.asked++
      return answer.promise
    })
    return { answer, seen, outcome }
  }
  return { clock, breaker, ask, pending }
}

/** Until what was settled has become known to those who wait for it. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

await t.test('a timeout opens the circuit; a probe tests the server', async (t) => {
  const { clock, ask, pending } = breakerFor()
  t.equal(await ask(1), 'answer')
  await t.rejects(ask(2000, timeout), timeout)
  const early = pending()
  await t.rejects(early.outcome, refusal)
  t.equal(early.seen.asked, 0, 'nobody was asked')
  clock.now += 100
  const attempt = pending()
  await t.rejects(attempt.outcome, refusal, 'at once: the attempt is not waited for')
  t.equal(attempt.seen.asked, 1)
  clock.now += 1000
  const other = pending()
  await t.rejects(other.outcome, refusal)
  t.equal(other.seen.asked, 0, 'one is out already, however long it takes')
  attempt.answer.resolve('back')
  await turn()
  t.equal(await ask(1), 'answer', 'closed again')
})

await t.test(
  'a failed probe keeps the circuit open for another pause, and no caller gets its error',
  async (t) => {
    const { clock, ask, pending } = breakerFor()
    await t.rejects(ask(2000, timeout), timeout)
    clock.now += 100
    const attempt = pending()
    await t.rejects(attempt.outcome, refusal)
    clock.now += 2000
    attempt.answer.reject(timeout)
    await turn()
    clock.now += 99
    const early = pending()
    await t.rejects(early.outcome, refusal)
    t.equal(early.seen.asked, 0)
    clock.now += 1
    await t.rejects(ask(1), refusal)
    await turn()
    t.equal(await ask(1), 'answer')
  },
)

await t.test(
  'an error that is no timeout does not open the circuit, and closes it as the outcome of a probe',
  async (t) => {
    const { clock, breaker, ask } = breakerFor()
    const error = new Error('500')
    await t.rejects(ask(1, error), error)
    t.equal(await ask(1), 'answer')
    await t.rejects(ask(2000, timeout), timeout)
    clock.now += 100
    const thrown = breaker(() => {
      throw error
    })
    await t.rejects(thrown, refusal)
    await turn()
    t.equal(await ask(1), 'answer', 'it answers, if only with errors')
  },
)

await t.test('one timeout among answered requests does not open the circuit', async (t) => {
  const { clock, ask, pending } = breakerFor()
  const slow = pending()
  clock.now += 10
  t.equal(await ask(1), 'answer')
  slow.answer.reject(timeout)
  await t.rejects(slow.outcome, timeout)
  t.equal(await ask(1), 'answer')
})

await t.test(
  'requests from before it opened: an answer closes the circuit, a timeout does not delay the probe',
  async (t) => {
    const { clock, ask, pending } = breakerFor()
    const [answered, silent, late] = [pending(), pending(), pending()]
    await t.rejects(ask(2000, timeout), timeout)
    clock.now += 99
    silent.answer.reject(timeout)
    await t.rejects(silent.outcome, timeout)
    clock.now += 1
    const attempt = pending()
    await t.rejects(attempt.outcome, refusal)
    t.equal(attempt.seen.asked, 1, 'as soon as before')
    clock.now += 1
    answered.answer.resolve('late')
    t.equal(await answered.outcome, 'late')
    t.equal(await ask(1), 'answer', 'closed')
    attempt.answer.reject(timeout)
    await turn()
    late.answer.reject(timeout)
    await t.rejects(late.outcome, timeout)
    t.equal(await ask(1), 'answer', 'and neither of the old ones opens it again')
  },
)

await t.test('several failures in a row open it, if no answer comes between them', async (t) => {
  const { clock, ask } = breakerFor(3)
  const left = new Error('the client left')
  for (const error of [timeout, timeout]) await t.rejects(ask(1, error), error)
  t.equal(await ask(1), 'answer')
  for (const error of [timeout, left, timeout]) await t.rejects(ask(1, error), error)
  t.equal(await ask(1), 'answer', 'two, and two')
  for (const error of [timeout, left, timeout, timeout]) await t.rejects(ask(1, error), error)
  await t.rejects(ask(1), refusal, 'three')
  clock.now += 100
  await t.rejects(ask(1, left), refusal)
  await turn()
  await t.rejects(ask(1, timeout), timeout, 'closed by what says nothing')
  await t.rejects(ask(1), refusal, 'and opened by the next failure')
})

await t.test('by the clock of the process, the pause is a second', async (t) => {
  const breaker = createCircuitBreaker({ isTransient: () => true, refuse: () => refusal })
  await t.rejects(
    breaker(async () => Promise.reject(timeout)),
    timeout,
  )
  await t.rejects(
    breaker(async () => Promise.resolve(1)),
    refusal,
  )
})

await t.test('it reports when it opens and when it closes, each once', async (t) => {
  const clock = { now: 0 }
  const changes: boolean[] = []
  const breaker = createCircuitBreaker({
    isTransient: (error) => error === timeout,
    refuse: () => refusal,
    onChange: (isOpen) => void changes.push(isOpen),
    now: () => clock.now,
  })
  const failing = async () => await Promise.reject(timeout)
  await t.rejects(breaker(failing), timeout)
  await t.rejects(breaker(failing), refusal)
  clock.now += 1001
  await t.rejects(
    breaker(async () => await Promise.resolve()),
    refusal,
  )
  await turn()
  await breaker(async () => await Promise.resolve())
  t.strictSame(changes, [true, false])
})
