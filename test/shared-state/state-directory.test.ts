import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { StateDirectory, type StateDirectoryOptions } from '../../src/shared-state/state-directory.ts'
import { tagFact, until } from './support.ts'

const index = { liveCompleteAt: 1, datedCompleteAt: 2, datedSeenUpTo: '2026', namespaces: [] }

const setUp = (test: Test, directory: string, options: Partial<StateDirectoryOptions> = {}) => {
  const warnings: string[] = []
  const facts = [tagFact('secret', true)]
  const kept = new StateDirectory({
    directory,
    snapshot: () => facts,
    index: async () => index,
    onWarning: (message) => warnings.push(message),
    wallClock: Date.now,
    ...options,
  })
  test.teardown(async () => await kept.close())
  return { kept, warnings, facts }
}

await t.test('the state is written at the end, and read at the next start', async (test) => {
  const directory = join(test.testdir(), 'made')
  const first = setUp(test, directory)
  test.equal(await first.kept.open(), undefined)
  test.equal(statSync(directory).mode & 0o777, 0o700)
  await Promise.all([first.kept.close(), first.kept.write()])
  await first.kept.close()
  const second = setUp(test, directory)
  test.same(await second.kept.open(), { index, facts: first.facts })
  test.same([first.warnings, second.warnings], [[], []])
})

await t.test('the state is written at intervals', async (test) => {
  const directory = test.testdir()
  const { kept } = setUp(test, directory, { everyMs: 5 })
  await kept.open()
  await until(() => statSync(join(directory, 'state'), { throwIfNoEntry: false }), 'it is written')
  // Otherwise the next write may come while the directory is removed.
  await kept.close()
})

await t.test('a foreign file causes a warning, and is replaced', async (test) => {
  const directory = test.testdir({ state: 'foreign' })
  const { kept, warnings } = setUp(test, directory)
  test.equal(await kept.open(), undefined)
  test.match(warnings, [
    /state is not used: it is of another program or version; its facts are collected again/,
  ])
  await kept.close()
  const next = setUp(test, directory)
  test.same((await next.kept.open())?.index, index)
})

await t.test('a failed write causes a warning', async (test) => {
  const directory = test.testdir()
  const { kept, warnings } = setUp(test, directory)
  await kept.open()
  rmSync(directory, { recursive: true })
  await kept.write()
  const failing = setUp(test, test.testdir(), {
    index: async () => {
      throw new Error('why')
    },
  })
  await failing.kept.write()
  test.match(
    [warnings[0], failing.warnings[0]],
    [/cannot be written \(ENOENT\)/, /cannot be written \(why\)/],
  )
})

await t.test('a directory that cannot be created, or is in use, stops the start', async (test) => {
  const directory = test.testdir({ file: '', used: { lock: JSON.stringify({ host: 'elsewhere', pid: 1 }) } })
  await test.rejects(setUp(test, join(directory, 'file', 'x')).kept.open(), {
    message: /cannot be written to/,
  })
  await test.rejects(setUp(test, join(directory, 'used')).kept.open(), {
    message: /in use by process 1 of elsewhere/,
  })
})
