import t from 'tap'
import { Circuit, type CircuitOptions, type Outcome } from '../../../src/quay/trouble/circuit.ts'
import { randomFrom } from '../../oci/random.ts'

const circuitFor = (options: Partial<CircuitOptions> = {}) => {
  const clock = { now: 0 }
  const circuit = new Circuit({
    threshold: 5,
    minPaths: 3,
    minAskers: 3,
    maxAskers: 100,
    retryMs: 1000,
    longestRetryMs: 1000,
    wellMs: 5000,
    now: () => clock.now,
    ...options,
  })
  /** Asks once, if it may, and tells whether it could, and as a probe. */
  const ask = (asker: string, path: string, outcome: Outcome = 'trouble') => {
    const pass = circuit.enter(asker, path)
    if (pass === undefined) return 'refused'
    circuit.settle(pass, outcome)
    return pass.turn === undefined ? 'asked' : 'probe'
  }
  /** Five troubles with three paths. */
  const break_ = (asker: string) => {
    for (let index = 0; index < 5; index++) ask(asker, `${asker} ${index % 3}`)
  }
  return { clock, circuit, ask, break_ }
}

await t.test('an asker who has trouble with everything is refused, and nobody else', (test) => {
  const { ask, break_ } = circuitFor()
  break_('alice')
  test.equal(ask('alice', 'alice 0'), 'refused')
  test.equal(ask('bob', 'b', 'nothing'), 'asked')
  break_('bob')
  test.equal(ask('bob', 'bob 0'), 'refused')
  test.equal(ask('carol', 'c', 'nothing'), 'asked', 'two are not everybody')
  ask('carol', 'c')
  test.equal(ask('carol', 'c'), 'refused', 'three are')
  test.equal(ask('dave', 'c', 'nothing'), 'probe', 'a newcomer has a probe of their own at once')
  test.end()
})

const four = ['a', 'b', 'c', 'd']

await t.test('what it takes: troubles, on several paths, with no answer between them', (test) => {
  const rows: [string, readonly (readonly [string, Outcome])[], boolean][] = [
    ['four troubles', ['a', 'b', 'c', 'd'].map((path) => [path, 'trouble'] as const), false],
    ['five', ['a', 'b', 'c', 'd', 'e'].map((path) => [path, 'trouble'] as const), true],
    ['of two paths', Array.from({ length: 50 }, (_, at) => [`${at % 2}`, 'trouble'] as const), false],
    [
      'with an answer between them',
      [...four, '!', ...four].map((path) => [path, path === '!' ? 'answered' : 'trouble'] as const),
      false,
    ],
    [
      'with what is no answer between them',
      [...four, '!', 'e'].map((path) => [path, path === '!' ? 'error' : 'trouble'] as const),
      true,
    ],
    [
      'with those who left between them',
      [...four, '!', 'e'].map((path) => [path, path === '!' ? 'nothing' : 'trouble'] as const),
      true,
    ],
    ['errors alone', Array.from({ length: 50 }, (_, at) => [`${at}`, 'error'] as const), false],
  ]
  for (const [name, outcomes, isOpen] of rows) {
    const { circuit, ask } = circuitFor()
    for (const [path, outcome] of outcomes) ask('alice', path, outcome)
    test.equal(circuit.isOpenFor('alice'), isOpen, name)
    test.equal(circuit.isOpenFor('bob'), false, name)
  }
  test.end()
})

await t.test('one probe at a time of what had trouble, and one of what had none', (test) => {
  const { clock, circuit, ask, break_ } = circuitFor()
  break_('alice')
  const [other, second] = [circuit.enter('alice', 'new'), circuit.enter('alice', 'newer')]
  test.ok(other, 'at once: is it everything?')
  test.equal(second, undefined)
  test.equal(circuit.enter('alice', 'alice 0'), undefined, 'that had trouble just now')
  clock.now = 1000
  const again = circuit.enter('alice', 'alice 0')
  test.ok(again)
  test.equal(circuit.enter('alice', 'alice 1'), undefined)
  if (other === undefined || again === undefined) throw new Error('no probe')
  circuit.settle(other, 'trouble')
  test.equal(ask('alice', 'newest'), 'refused')
  circuit.settle(again, 'nothing')
  test.equal(ask('alice', 'alice 1'), 'probe', 'it said nothing: the next one finds out')
  test.equal(ask('alice', 'alice 1'), 'refused')
  clock.now = 2000
  test.equal(ask('alice', 'newest', 'answered'), 'probe')
  test.equal(ask('alice', 'alice 0', 'answered'), 'asked', 'closed')
  test.end()
})

await t.test('a probe that is answered with an error closes it until the next trouble', (test) => {
  const { ask, break_ } = circuitFor()
  break_('alice')
  test.equal(ask('alice', 'new', 'error'), 'probe')
  test.equal(ask('alice', 'new'), 'asked')
  test.equal(ask('alice', 'new'), 'refused')
  test.end()
})

await t.test('attack: found to be well, it stays closed for some seconds whatever is broken', (test) => {
  const { clock, ask, break_ } = circuitFor()
  for (const asker of ['mallory', 'trudy', 'eve']) break_(asker)
  test.equal(ask('bob', 'well', 'answered'), 'probe')
  for (let time = 0; time < 5000; time += 100) {
    clock.now = time
    for (const asker of ['mallory', 'trudy', 'eve']) break_(asker)
    test.equal(ask('bob', 'well', 'nothing'), 'asked', String(time))
  }
  clock.now = 5000
  break_('mallory')
  test.equal(ask('bob', 'well', 'answered'), 'probe')
  test.end()
})

await t.test('what was asked before an answer tells nothing against it', (test) => {
  const { clock, circuit, ask } = circuitFor()
  const slow = Array.from({ length: 9 }, (_, at) => circuit.enter('alice', `${at}`))
  clock.now = 1
  ask('bob', 'b', 'answered')
  clock.now = 2
  for (const pass of slow) if (pass !== undefined) circuit.settle(pass, 'trouble')
  test.equal(circuit.isOpenFor('alice'), false)
  test.end()
})

await t.test('probes in vain: less and less often, up to a bound', (test) => {
  const { clock, ask } = circuitFor({ minPaths: 1, longestRetryMs: 4000 })
  const probes: number[] = []
  for (clock.now = 0; clock.now < 20_000; clock.now += 100)
    if (ask('alice', 'a') === 'probe') probes.push(clock.now)
  test.strictSame(probes, [1400, 2400, 4400, 8400, 12_400, 16_400])
  test.end()
})

await t.test('many askers have no more probes than a few', (test) => {
  const { clock, ask } = circuitFor()
  const askers = Array.from({ length: 64 }, (_, at) => `asker ${at}`)
  for (const asker of askers) ask(asker, asker)
  let probes = 0
  for (clock.now = 10_000; clock.now < 90_000; clock.now += 500)
    for (const asker of askers) if (ask(asker, asker) === 'probe') probes++
  test.equal(probes, 64 * 10, 'eight a second')
  test.end()
})

await t.test('attack on memory: ever new askers and paths', (test) => {
  const { circuit, ask } = circuitFor({ maxAskers: 10 })
  for (let index = 0; index < 2000; index++) {
    ask(`mallory ${index}`, `path ${index}`)
    ask('trudy', `path ${index}`)
  }
  test.ok(circuit.isOpenFor('bob'), 'it is open for all')
  test.equal(ask('bob', 'well', 'answered'), 'probe', 'which the next one may find out to be wrong')
  test.notOk(circuit.isOpenFor('bob'))
  test.end()
})

await t.test('generated: paths that are broken, and others that are well, asked for in any order', (test) => {
  const random = randomFrom(3)
  for (let round = 0; round < 100; round++) {
    const { clock, ask } = circuitFor()
    const attackers = 1 + Math.floor(random() * 5)
    const broken = 1 + Math.floor(random() * 20)
    let refused = 0
    let asked = 0
    for (let step = 0; step < 500; step++) {
      clock.now += Math.floor(random() * 50)
      for (let many = 0; many < 10; many++)
        ask(`mallory ${Math.floor(random() * attackers)}`, `broken ${Math.floor(random() * broken)}`)
      asked++
      if (ask('bob', 'well', 'answered') === 'refused') refused++
    }
    if (refused > 0) test.fail(`round ${round}: ${refused} of ${asked} with ${attackers} attackers`)
  }
  test.pass('nobody else is refused anything')
  test.end()
})
