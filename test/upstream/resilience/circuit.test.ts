import t from 'tap'
import { Circuit, type CircuitOptions, type Outcome } from '../../../src/upstream/resilience/circuit.ts'
import { randomFrom } from '../../oci/random.ts'

const circuitFor = (options: Partial<CircuitOptions> = {}) => {
  const clock = { now: 0 }
  const circuit = new Circuit({
    threshold: 5,
    minPaths: 3,
    minRequesters: 3,
    maxRequesters: 100,
    retryMs: 1000,
    longestRetryMs: 1000,
    wellMs: 5000,
    now: () => clock.now,
    ...options,
  })
  /** Asks once, if it may, and tells whether it could, and as a probe. */
  const send = (requester: string, path: string, outcome: Outcome = 'failure') => {
    const pass = circuit.enter(requester, path)
    if (pass === undefined) return 'refused'
    circuit.settle(pass, outcome)
    return pass.turn === undefined ? 'asked' : 'probe'
  }
  /** Five transientErrors with three paths. */
  const break_ = (requester: string) => {
    for (let index = 0; index < 5; index++) send(requester, `${requester} ${index % 3}`)
  }
  return { clock, circuit, send, break_ }
}

await t.test('a requester whose requests all fail is refused, and no other', (test) => {
  const { send, break_ } = circuitFor()
  break_('alice')
  test.equal(send('alice', 'alice 0'), 'refused')
  test.equal(send('bob', 'b', 'neutral'), 'asked')
  break_('bob')
  test.equal(send('bob', 'bob 0'), 'refused')
  test.equal(send('carol', 'c', 'neutral'), 'asked', 'two are not everybody')
  send('carol', 'c')
  test.equal(send('carol', 'c'), 'refused', 'three are')
  test.equal(send('dave', 'c', 'neutral'), 'probe', 'a newcomer has a probe of their own at once')
  test.end()
})

const four = ['a', 'b', 'c', 'd']

await t.test('it opens after failures of several paths without a success in between', (test) => {
  const rows: [string, readonly (readonly [string, Outcome])[], boolean][] = [
    ['four failures', ['a', 'b', 'c', 'd'].map((path) => [path, 'failure'] as const), false],
    ['five', ['a', 'b', 'c', 'd', 'e'].map((path) => [path, 'failure'] as const), true],
    ['of two paths', Array.from({ length: 50 }, (_, at) => [`${at % 2}`, 'failure'] as const), false],
    [
      'with an answer between them',
      [...four, '!', ...four].map((path) => [path, path === '!' ? 'answered' : 'failure'] as const),
      false,
    ],
    [
      'with what is no answer between them',
      [...four, '!', 'e'].map((path) => [path, path === '!' ? 'error' : 'failure'] as const),
      true,
    ],
    [
      'with those who left between them',
      [...four, '!', 'e'].map((path) => [path, path === '!' ? 'neutral' : 'failure'] as const),
      true,
    ],
    ['errors alone', Array.from({ length: 50 }, (_, at) => [`${at}`, 'error'] as const), false],
  ]
  for (const [name, outcomes, isOpen] of rows) {
    const { circuit, send } = circuitFor()
    for (const [path, outcome] of outcomes) send('alice', path, outcome)
    test.equal(circuit.isOpenFor('alice'), isOpen, name)
    test.equal(circuit.isOpenFor('bob'), false, name)
  }
  test.end()
})

await t.test('there is one probe at a time for paths with failures, and one for other paths', (test) => {
  const { clock, circuit, send, break_ } = circuitFor()
  break_('alice')
  const [other, second] = [circuit.enter('alice', 'new'), circuit.enter('alice', 'newer')]
  test.ok(other, 'at once: is it everything?')
  test.equal(second, undefined)
  test.equal(circuit.enter('alice', 'alice 0'), undefined, 'that failed just now')
  clock.now = 1000
  const again = circuit.enter('alice', 'alice 0')
  test.ok(again)
  test.equal(circuit.enter('alice', 'alice 1'), undefined)
  if (other === undefined || again === undefined) throw new Error('no probe')
  circuit.settle(other, 'failure')
  test.equal(send('alice', 'newest'), 'refused')
  circuit.settle(again, 'neutral')
  test.equal(send('alice', 'alice 1'), 'probe', 'it said nothing: the next one finds out')
  test.equal(send('alice', 'alice 1'), 'refused')
  clock.now = 2000
  test.equal(send('alice', 'newest', 'answered'), 'probe')
  test.equal(send('alice', 'alice 0', 'answered'), 'asked', 'closed')
  test.end()
})

await t.test('a probe with an error as answer closes it until the next failure', (test) => {
  const { send, break_ } = circuitFor()
  break_('alice')
  test.equal(send('alice', 'new', 'error'), 'probe')
  test.equal(send('alice', 'new'), 'asked')
  test.equal(send('alice', 'new'), 'refused')
  test.end()
})

await t.test('attack: after a success it stays closed for some seconds, whatever fails', (test) => {
  const { clock, send, break_ } = circuitFor()
  for (const requester of ['mallory', 'trudy', 'eve']) break_(requester)
  test.equal(send('bob', 'well', 'answered'), 'probe')
  for (let time = 0; time < 5000; time += 100) {
    clock.now = time
    for (const requester of ['mallory', 'trudy', 'eve']) break_(requester)
    test.equal(send('bob', 'well', 'neutral'), 'asked', String(time))
  }
  clock.now = 5000
  break_('mallory')
  test.equal(send('bob', 'well', 'answered'), 'probe')
  test.end()
})

await t.test('failures of requests that were sent before a success do not count', (test) => {
  const { clock, circuit, send } = circuitFor()
  const slow = Array.from({ length: 9 }, (_, at) => circuit.enter('alice', `${at}`))
  clock.now = 1
  send('bob', 'b', 'answered')
  clock.now = 2
  for (const pass of slow) if (pass !== undefined) circuit.settle(pass, 'failure')
  test.equal(circuit.isOpenFor('alice'), false)
  test.end()
})

await t.test('each failed probe doubles the pause, up to a bound', (test) => {
  const { clock, send } = circuitFor({ minPaths: 1, longestRetryMs: 4000 })
  const probes: number[] = []
  for (clock.now = 0; clock.now < 20_000; clock.now += 100)
    if (send('alice', 'a') === 'probe') probes.push(clock.now)
  test.strictSame(probes, [1400, 2400, 4400, 8400, 12_400, 16_400])
  test.end()
})

await t.test('many requesters send no more probes than a few', (test) => {
  const { clock, send } = circuitFor()
  const requesters = Array.from({ length: 64 }, (_, at) => `requester ${at}`)
  for (const requester of requesters) send(requester, requester)
  let probes = 0
  for (clock.now = 10_000; clock.now < 90_000; clock.now += 500)
    for (const requester of requesters) if (send(requester, requester) === 'probe') probes++
  test.equal(probes, 64 * 10, 'eight a second')
  test.end()
})

await t.test('attack on memory: ever new requesters and paths', (test) => {
  const { circuit, send } = circuitFor({ maxRequesters: 10 })
  for (let index = 0; index < 2000; index++) {
    send(`mallory ${index}`, `path ${index}`)
    send('trudy', `path ${index}`)
  }
  test.ok(circuit.isOpenFor('bob'), 'it is open for all')
  test.equal(send('bob', 'well', 'answered'), 'probe', 'which the next one may find out to be wrong')
  test.notOk(circuit.isOpenFor('bob'))
  test.end()
})

await t.test('generated: broken and healthy paths, requested in any order', (test) => {
  const random = randomFrom(3)
  for (let round = 0; round < 100; round++) {
    const { clock, send } = circuitFor()
    const attackers = 1 + Math.floor(random() * 5)
    const broken = 1 + Math.floor(random() * 20)
    let refused = 0
    let asked = 0
    for (let step = 0; step < 500; step++) {
      clock.now += Math.floor(random() * 50)
      for (let many = 0; many < 10; many++)
        send(`mallory ${Math.floor(random() * attackers)}`, `broken ${Math.floor(random() * broken)}`)
      asked++
      if (send('bob', 'well', 'answered') === 'refused') refused++
    }
    if (refused > 0) test.fail(`round ${round}: ${refused} of ${asked} with ${attackers} attackers`)
  }
  test.pass('nobody else is refused anything')
  test.end()
})
