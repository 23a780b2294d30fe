import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { createHeapSnapshots } from '../../src/telemetry/heap-snapshot.ts'
import type { Logger } from '../../src/telemetry/logging.ts'

const createLog = () => {
  const lines: [level: string, message: string, fields: unknown][] = []
  const logger = {
    info: (fields: unknown, message: string) => lines.push(['info', message, fields]),
    error: (fields: unknown, message: string) => lines.push(['error', message, fields]),
  } as unknown as Pick<Logger, 'info' | 'error'>
  return { logger, lines }
}

await t.test('without a directory nothing is written', async (test) => {
  const { logger, lines } = createLog()
  await createHeapSnapshots({ directory: undefined, logger })()
  test.strictSame(lines, [['info', 'no heap snapshot', { reason: '--heap-snapshot-dir is not given' }]])
})

await t.test('a snapshot is a file that only its owner reads; one at a time', async (test) => {
  const { logger, lines } = createLog()
  const directory = test.testdir({})
  const write = createHeapSnapshots({ directory, logger })
  await Promise.all([write(), write()])
  const [name = '', ...others] = readdirSync(directory)
  test.strictSame(others, [])
  test.match(name, /^quay-proxy-[\d-]+T[\d.-]+Z\.heapsnapshot$/)
  const path = join(directory, name)
  test.equal(statSync(path).mode & 0o777, 0o600)
  test.match(JSON.parse(readFileSync(path, 'utf8')), { snapshot: { meta: {} } })
  test.match(lines, [
    ['info', 'no heap snapshot', { reason: 'another one is being written' }],
    ['info', 'heap snapshot written', { path, bytes: statSync(path).size }],
  ])
})

await t.test('a failure leaves nothing behind, and the next snapshot is written', async (test) => {
  const { logger, lines } = createLog()
  const directory = test.testdir({})
  const broken = createHeapSnapshots({
    directory,
    logger,
    snapshot: () =>
      new Readable({
        read() {
          this.destroy(new Error('no space left'))
        },
      }),
  })
  await broken()
  await broken()
  test.strictSame(readdirSync(directory), [])
  test.match(lines, [
    ['error', 'heap snapshot failed', { err: { message: 'no space left' } }],
    ['error', 'heap snapshot failed', {}],
  ])
  await createHeapSnapshots({ directory: join(directory, 'away'), logger })()
  test.match(lines[2], ['error', 'heap snapshot failed', { err: { code: 'ENOENT' } }])
})
