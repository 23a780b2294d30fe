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
  t.equal(watch.isRead(), false)
  await watch.read()
  t.equal(events.length, 1, 'the same failure is told once')
  const look = async (ms: number) => {
    const read = next()
    advance(ms)
    await read
  }
  add('one')
  await look(5000)
  t.equal(watch.isRead(), true)
  add('two')
  await look(5000)
  await look(600_000)
  await watch.read()
  t.strictSame(events.splice(0), ['failed: ENOENT', 'a/b:one', 'a/b:two', 'a/b:two', 'a/b:two'])
  rmSync(join(folder, 'release'))
  await watch.read()
  t.strictSame(events, ['failed: ENOENT'])
  t.equal(watch.isRead(), false)
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
