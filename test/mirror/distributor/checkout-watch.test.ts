import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { CheckoutWatch } from '../../../src/mirror/distributor/checkout-watch.ts'
import { ReleaseCheckout } from '../../../src/mirror/distributor/release-checkout.ts'

/** A clock whose time stands until a test moves it. */
const handClock = () => {
  let now = 0
  let timers: { at: number; run: () => void }[] = []
  const clock = {
    now: () => now,
    after: (ms: number, run: () => void) => {
      const timer = { at: now + ms, run }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
  }
  const advance = (ms: number) => {
    now += ms
    const due = timers.filter(({ at }) => at <= now)
    timers = timers.filter(({ at }) => at > now)
    for (const { run } of due) run()
  }
  return { clock, advance, waiting: () => timers.length }
}

const started = (test: Test) => {
  const folder = test.testdir({})
  const add = (name: string) => {
    for (const part of ['config', 'step-registry'])
      mkdirSync(join(folder, name, 'ci-operator', part), { recursive: true })
    writeFileSync(
      join(folder, name, 'ci-operator/config/x.yaml'),
      `base_images: {x: {namespace: a, name: b, tag: ${name}}}`,
    )
    symlinkSync(name, join(folder, 'next'))
    renameSync(join(folder, 'next'), join(folder, 'release'))
  }
  const { clock, advance, waiting } = handClock()
  const events: string[] = []
  const happened: (() => void)[] = []
  const tell = (event: string) => {
    events.push(event)
    for (const resolve of happened.splice(0)) resolve()
  }
  const watch = new CheckoutWatch({
    checkout: new ReleaseCheckout(join(folder, 'release')),
    clock,
    onRead: ({ inputs }) => tell([...inputs.tags].join()),
    onFailure: ({ message }) => tell(`failed: ${message.split(':')[0]}`),
  })
  test.teardown(async () => await watch.close())
  const next = async () => await new Promise<void>((resolve) => happened.push(resolve))
  return { folder, add, advance, waiting, events, watch, next }
}

await t.test('a checkout is read when git-sync swaps it, after a signal, and now and then', async (t) => {
  const { folder, add, advance, events, watch, next } = started(t)
  await watch.read()
  t.strictSame(events, ['failed: ENOENT'])
  t.match(watch.problem(), /^ENOENT/)
  await watch.read()
  t.equal(events.length, 1, 'the same failure is told once')
  const look = async (ms: number) => {
    const read = next()
    advance(ms)
    await read
  }
  add('one')
  await look(5000)
  t.equal(watch.problem(), undefined)
  add('two')
  await look(5000)
  await look(600_000)
  await watch.read()
  t.strictSame(events.splice(0), ['failed: ENOENT', 'a/b:one', 'a/b:two', 'a/b:two', 'a/b:two'])
  rmSync(join(folder, 'release'))
  await watch.read()
  t.strictSame(events, ['failed: ENOENT'])
  t.match(watch.problem(), /^ENOENT/)
})

await t.test('a look that finds the same reads nothing', async (t) => {
  const { add, advance, events, waiting, watch } = started(t)
  add('one')
  await watch.read()
  t.equal(waiting(), 1)
  advance(5000)
  // The look is in the chain before this reading.
  await watch.read()
  t.strictSame(events, ['a/b:one', 'a/b:one'])
  t.equal(waiting(), 1)
})

await t.test('a stop ends a reading, and reports no failure', async (t) => {
  const { add, events, waiting, watch } = started(t)
  add('one')
  const reading = watch.read()
  await watch.close()
  await reading
  t.strictSame(events, [])
  t.equal(waiting(), 0)
})

await t.test('attack: a checkout that cannot be read is tried later and later, with one event', async (t) => {
  const { clock, advance } = handClock()
  let reads = 0
  class Counted extends ReleaseCheckout {
    override async read(signal: AbortSignal) {
      reads += 1
      return await super.read(signal)
    }
  }
  const folder = t.testdir({ 'ci-operator': { config: {} } })
  const events: string[] = []
  const watch = new CheckoutWatch({
    checkout: new Counted(folder),
    clock,
    onRead: () => events.push('read'),
    onFailure: () => events.push('failed'),
  })
  t.match(watch.problem(), 'it was not read yet')
  await watch.read()
  for (let look = 0; look < 720; look++) {
    advance(5000)
    // Resolves after the look, which is in the chain before it.
    await watch.settled()
  }
  t.ok(reads > 8 && reads < 24, `${reads} tries in an hour`)
  t.strictSame(events, ['failed'])
  mkdirSync(join(folder, 'ci-operator/step-registry'))
  for (const count of [1, 2]) {
    advance(600_000)
    await watch.settled()
    t.equal(events.length, 1 + count)
  }
  t.strictSame(events, ['failed', 'read', 'read'])
  t.equal(watch.problem(), undefined)
  await watch.close()
})
