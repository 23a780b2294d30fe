import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { createLogger, createOutput, serializeError, type LogLevel } from '../../src/telemetry/logging.ts'
import { plainNode } from '../support/program.ts'

const sink = (level: LogLevel = 'trace') => {
  const lines: string[] = []
  const logger = createLogger(level, { write: (line) => lines.push(line) })
  return { logger, lines, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

const secretKeys = [
  'authorization',
  'password',
  'token',
  'access_token',
  'cookie',
  'location',
  'auth',
  'headers',
]

await t.test(
  'a line is JSON with a level by name and a time, and nothing about the machine',
  async (test) => {
    const { logger, lines, parsed } = sink()
    logger.info({ namespace: 'ocp' }, 'request')
    test.ok(lines[0]?.endsWith('}\n'))
    const [line] = parsed()
    test.match(line, { level: 'info', namespace: 'ocp', msg: 'request', time: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ })
    test.strictSame(Object.keys(line ?? {}), ['level', 'time', 'namespace', 'msg'])
  },
)

await t.test('log levels', async (test) => {
  const { logger, lines } = sink('warn')
  logger.info('no')
  logger.warn('yes')
  test.equal(lines.length, 1)
  const silent = sink('silent')
  silent.logger.fatal('no')
  test.strictSame(silent.lines, [])
})

await t.test('no credential is logged, wherever in the first three levels it is', async (test) => {
  const { logger, lines, parsed } = sink()
  for (const key of secretKeys) {
    logger.info({ [key]: 'hunter2' }, 'top')
    logger.info({ [key]: { anything: 'hunter2' } }, 'a whole object')
    logger.info({ request: { [key]: 'hunter2' } }, 'second')
    logger.info({ some: { request: { [key]: 'hunter2' } } }, 'third')
    logger.child({ [key]: 'hunter2' }).info('child')
  }
  test.equal(lines.length, secretKeys.length * 5)
  test.notMatch(lines.join(''), /hunter2/)
  test.equal(lines.join('').split('[redacted]').length - 1, lines.length)
  test.strictSame(parsed().at(3)?.['some'], { request: { authorization: '[redacted]' } })
})

await t.test('no credential is logged from deeper levels, lists, or objects with toJSON', async (test) => {
  const { logger, lines, parsed } = sink()
  for (const token of ['hunter2', ['hunter2'], { a: { token: 'hunter2' } }, 2, null]) {
    logger.info({ a: { b: { c: { d: [{ token }] } } }, after: 'kept' }, 'deep')
    logger.child({ a: { b: { c: { token } } } }).warn('child')
    logger.info({ status: { toJSON: () => ({ token }) } }, 'turned')
  }
  test.notMatch(lines.join(''), /hunter2/)
  for (const line of lines) test.equal(line.split('[redacted]').length, 2)
  for (const line of lines) test.ok(line.endsWith('}\n') && line.indexOf('\n') === line.length - 1)
  test.match(parsed()[0], { level: 'info', a: { b: { c: { d: [{ token: '[redacted]' }] } } }, after: 'kept' })
})

await t.test('a text that names such keys is not redacted', async (test) => {
  const { logger, lines, parsed } = sink()
  logger.info({ text: '{"token":"a"}', tokens: 3, nontoken: 'b', Token: 'c' }, '"password": see "token":')
  test.match(parsed()[0], { text: '{"token":"a"}', tokens: 3, nontoken: 'b', Token: 'c' })
  test.notMatch(lines[0], 'redacted')
})

await t.test('times of lines increase', async (test) => {
  const { logger, parsed } = sink()
  const begun = Date.now()
  logger.info('the first')
  while (Date.now() < begun + 3) logger.info('line')
  logger.info('the last')
  const times = parsed().map(({ time }) => Date.parse(String(time)))
  test.ok(times.every((time, index) => time >= (times[index - 1] ?? begun)))
  test.ok(new Set(times).size > 1)
})

await t.test('trap 37: no signed URL is logged, in an error or elsewhere', async (test) => {
  const url = 'https://cdn.example/sha256/ab?user=robot&X-Amz-Signature=hunter2'
  const { logger, lines, parsed } = sink()
  const error = Object.assign(new Error(`GET ${url} failed`, { cause: new Error(`"${url}" was cut`) }), {
    code: 'UND_ERR_SOCKET',
    request: { headers: { authorization: 'Bearer hunter2' } },
    headers: { location: url },
    options: { deep: { deeper: { token: 'hunter2' } } },
  })
  logger.error({ err: error }, 'with a text')
  logger.error({ err: error })
  logger.error(error)
  logger.error({ stack: error.stack, url, list: [url] }, `told to go to ${url}`)
  logger.error('%s', url)
  test.equal(lines.length, 5)
  test.notMatch(lines.join(''), /hunter2|X-Amz|robot/)
  const [first, second, third] = parsed()
  test.strictSame(first?.['err'], {
    type: 'Error',
    message: 'GET https://cdn.example/sha256/ab?[redacted] failed',
    code: 'UND_ERR_SOCKET',
    cause: { type: 'Error', message: '"https://cdn.example/sha256/ab?[redacted]" was cut' },
  })
  test.equal(first?.['msg'], 'with a text')
  for (const line of [second, third]) {
    test.strictSame(line?.['err'], first?.['err'])
    test.equal(line?.['msg'], 'GET https://cdn.example/sha256/ab?[redacted] failed')
  }
})

await t.test('a redacted line is still JSON, whatever character ends the URL', async (test) => {
  const { logger, lines, parsed } = sink()
  const texts = ['"', '\\', '\\"', "'", '\n', '\t', ' ', '\u2028', '\\\\', '}'].map(
    (end) => `http://a/b?secret=1${end} and more`,
  )
  for (const text of texts) logger.info({ text }, text)
  test.equal(parsed().length, texts.length)
  test.notMatch(lines.join(''), /secret/)
  for (const line of parsed()) test.match(line['text'], /^http:\/\/a\/b\?\[redacted\].* and more$/s)
  logger.info({ query: 'what? a=b' }, 'https://a/b and https://c/d: fine')
  test.match(parsed().at(-1), { query: 'what? a=b', msg: 'https://a/b and https://c/d: fine' })
})

await t.test('the error serializer', async (test) => {
  class Refused extends Error {
    override readonly name = 'Refused'
  }
  test.strictSame(serializeError(new Refused('no')), { type: 'Refused', message: 'no' })
  test.strictSame(serializeError(Object.assign(new Error('x'), { code: 7 })), { type: 'Error', message: 'x' })
  test.strictSame(serializeError('password'), { type: 'string', message: 'not an error' })
  test.strictSame(serializeError({ authorization: 'x' }), { type: 'object', message: 'not an error' })
  test.strictSame(serializeError(new Error('x', { cause: { token: 'y' } })), {
    type: 'Error',
    message: 'x',
    cause: { type: 'object', message: 'not an error' },
  })
})

await t.test('causes are followed three levels deep, circular ones too', async (test) => {
  const round = new Error('round')
  round.cause = round
  const depthOf = (serialized: ReturnType<typeof serializeError>): number =>
    serialized.cause === undefined ? 0 : 1 + depthOf(serialized.cause)
  test.equal(depthOf(serializeError(round)), 3)
})

await t.test('standard output is used unless given', async (test) => {
  const file = pathToFileURL(join(import.meta.dirname, '../../src/telemetry/logging.ts')).href
  const script = `(await import('${file}')).createLogger('info').info({ token: 'x' }, 'hello')`
  const { stdout } = spawnSync(...plainNode('--input-type=module', '-e', script), { encoding: 'utf8' })
  test.match(JSON.parse(stdout), { level: 'info', token: '[redacted]', msg: 'hello' })
  test.equal(createLogger('silent').level, 'silent')
})

const outputTo = (test: Test) => {
  const path = join(test.testdir(), 'log')
  const fd = openSync(path, 'w')
  test.teardown(() => closeSync(fd))
  return { output: createOutput(fd), written: () => readFileSync(path, 'utf8') }
}

await t.test('output: many lines are one write, in order, and no line is lost', async (test) => {
  const { output, written } = outputTo(test)
  const logger = createLogger('info', output)
  logger.info('first')
  test.equal(written(), '', 'it waits for company')
  for (let number = 0; number < 1000; number++) logger.info({ number }, 'more')
  test.ok(written().length > 32_768, 'but not for long')
  output.flushSync()
  output.flushSync()
  const lines = written().split('\n')
  test.equal(lines.pop(), '')
  const numbers = lines.map((line) => (JSON.parse(line) as { number?: number }).number)
  test.strictSame(numbers, [undefined, ...Array.from({ length: 1000 }, (_, number) => number)])
})

await t.test('output: a single line is written without further ones', async (test) => {
  const { output, written } = outputTo(test)
  const logger = createLogger('info', output)
  logger.info('alone')
  while (written() === '') await new Promise((resolve) => setTimeout(resolve, 5))
  test.match(written(), /"msg":"alone"\}\n$/)
  logger.fatal('at once')
  test.match(written(), /"msg":"at once"\}\n$/)
})

await t.test('output: standard output is used unless given, and it keeps no process alive', async (test) => {
  const file = pathToFileURL(join(import.meta.dirname, '../../src/telemetry/logging.ts')).href
  const script = `const { createOutput, createLogger } = await import('${file}')
    const output = createOutput()
    process.on('exit', output.flushSync)
    createLogger('info', output).info('hello')`
  const run = (more: string) =>
    spawnSync(...plainNode('--input-type=module', '-e', script + more), { encoding: 'utf8' })
  for (const [more, status] of [
    ['', 0],
    [';process.exit(3)', 3],
    [';setImmediate(() => { throw new Error("uncaught") })', 1],
    [';Promise.reject(new Error("unhandled"))', 1],
  ] as const) {
    const ended = run(more)
    test.equal(ended.status, status)
    test.match(JSON.parse(ended.stdout), { msg: 'hello' })
  }
})
