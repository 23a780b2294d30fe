import { EventEmitter } from 'node:events'
import t from 'tap'
import { createProcessIo, type Program } from '../../src/mirror/process-io.ts'

const fakeProgram = () => {
  const events = new EventEmitter()
  const lines: string[] = []
  const exits: number[] = []
  const writer = (name: string) => ({
    write: (text: string) => lines.push(`${name}: ${text}`),
    on: (event: 'error', listener: () => void) => events.on(`${name} ${event}`, listener),
  })
  const program: Program = {
    env: { KUBECONFIG: '/k' },
    stdout: writer('out'),
    stderr: writer('err'),
    on: (signal, listener) => events.on(signal, listener),
    exit: (code) => exits.push(code),
  }
  return { program, events, lines, exits }
}

await t.test('lines, errors and the environment are those of the process', (test) => {
  const { program, lines } = fakeProgram()
  const io = createProcessIo(program)
  io.print('a')
  io.printError('b')
  test.strictSame(lines, ['out: a\n', 'err: b\n'])
  test.equal(io.environment, program.env)
  test.end()
})

await t.test('each SIGHUP is a look at the files', (test) => {
  const { program, events, exits } = fakeProgram()
  let looks = 0
  createProcessIo(program).onReload?.(() => looks++)
  for (let count = 0; count < 2; count++) events.emit('SIGHUP')
  test.strictSame([looks, exits], [2, []])
  test.end()
})

await t.test('the first signal ends in order, the second one at once', (test) => {
  for (const [first, second] of [
    ['SIGTERM', 'SIGTERM'],
    ['SIGINT', 'SIGTERM'],
    ['SIGQUIT', 'SIGINT'],
  ] as const) {
    const { program, events, exits } = fakeProgram()
    let ends = 0
    createProcessIo(program).onEnd?.(async () => void ends++)
    for (const name of ['SIGHUP', 'SIGUSR2', 'out error'])
      test.ok(events.emit(name), `${name} does not end the process`)
    test.strictSame([ends, exits], [0, []])
    events.emit(first)
    test.strictSame([ends, exits], [1, []])
    events.emit(second)
    test.strictSame([ends, exits], [1, [1]])
  }
  test.end()
})
