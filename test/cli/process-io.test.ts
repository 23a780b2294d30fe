import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { createProcessIo, type Program } from '../../src/cli/process-io.ts'

type Stdin = ReturnType<Program['stdin']['setEncoding']>

const setUp = () => {
  const [stdout, stderr, exits]: [string[], string[], number[]] = [[], [], []]
  const [signals, output] = [new EventEmitter(), new EventEmitter()]
  const input = (async function* () {
    yield 'input'
  })()
  const program: Program = {
    env: { A: 'b' },
    stdin: { setEncoding: (): Stdin => input },
    stdout: {
      write: (text) => stdout.push(text),
      on: (event, listener) => output.on(event, listener),
    },
    stderr: { write: (text) => stderr.push(text) },
    on: (event, listener) => signals.on(event, listener),
    exit: (code) => void exits.push(code),
  }
  return { program, io: createProcessIo(program), signals, output, stdout, stderr, exits }
}

await t.test('lines, input and environment are those of the process', async (test) => {
  const { io, stdout, stderr } = setUp()
  io.print('a')
  io.printError('b')
  test.strictSame([stdout, stderr], [['a\n'], ['b\n']])
  test.strictSame(io.environment, { A: 'b' })
  test.strictSame(await Array.fromAsync(io.openInput()), ['input'])
})

await t.test('the log is written out at the exit', async (test) => {
  const { io, signals } = setUp()
  io.openLog()
  test.equal(signals.listenerCount('exit'), 1)
  signals.emit('exit')
})

await t.test('output that nobody reads is no error', async (test) => {
  const { output, exits } = setUp()
  test.ok(output.emit('error', new Error('EPIPE')), 'there is a listener')
  test.strictSame(exits, [])
})

const events = (test: Test, from: 'signal' | 'terminal') => {
  const { io, signals, output, exits } = setUp()
  let ends = 0
  io.onEnd(from, async () => {
    ends += 1
  })
  return {
    signals,
    send: (...names: readonly string[]) => {
      for (const name of names)
        if (name === 'EPIPE') output.emit('error', new Error(name))
        else signals.emit(name)
    },
    expect: (expected: { readonly ends: number; readonly exits: readonly number[] }) =>
      test.strictSame({ ends, exits }, expected),
  }
}

await t.test('the first signal ends in order, another one at once', async (test) => {
  for (const [one, another] of [
    ['SIGTERM', 'SIGINT'],
    ['SIGINT', 'SIGTERM'],
    ['SIGQUIT', 'SIGTERM'],
  ] as const) {
    const { send, expect } = events(test, 'signal')
    send(one)
    expect({ ends: 1, exits: [] })
    send(another)
    expect({ ends: 1, exits: [1] })
  }
})

await t.test('Ctrl-C that npm passes on is one signal; Ctrl-C again ends at once', async (test) => {
  let now = 1000
  test.intercept(performance, 'now', { value: () => now })
  const { send, expect } = events(test, 'terminal')
  send('SIGINT')
  now += 400
  send('SIGINT')
  expect({ ends: 1, exits: [] })
  now += 200
  send('SIGINT')
  expect({ ends: 1, exits: [1] })
})

await t.test('a terminal or pipe that closes ends what a user started, once', async (test) => {
  for (const event of ['SIGHUP', 'EPIPE']) {
    const { send, expect } = events(test, 'terminal')
    send(event, 'EPIPE', 'SIGHUP')
    expect({ ends: 1, exits: [] })
    send('SIGTERM')
    expect({ ends: 1, exits: [1] })
  }
  const { send, expect, signals } = events(test, 'signal')
  send('EPIPE')
  expect({ ends: 0, exits: [] })
  test.equal(signals.listenerCount('SIGHUP'), 0, 'it has the meaning that the system gives it')
  const terminal = events(test, 'terminal')
  test.equal(terminal.signals.listenerCount('SIGQUIT'), 0, 'a program that no longer reacts')
})

await t.test('a signal with a meaning of its own', async (test) => {
  const { io, signals } = setUp()
  const seen: string[] = []
  for (const signal of ['SIGHUP', 'SIGUSR2'] as const) io.onSignal(signal, () => seen.push(signal))
  for (const signal of ['SIGUSR2', 'SIGHUP', 'SIGUSR2']) signals.emit(signal)
  test.strictSame(seen, ['SIGUSR2', 'SIGHUP', 'SIGUSR2'])
})

await t.test('an error at the end is printed, with exit code 2', async (test) => {
  const { io, program, signals, stderr } = setUp()
  io.onEnd('signal', async () => await Promise.reject(new Error('broken')))
  signals.emit('SIGTERM')
  await setImmediate()
  test.strictSame([stderr, program.exitCode], [['quay-proxy: broken\n'], 2])
})
