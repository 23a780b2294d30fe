import { createReadStream } from 'node:fs'
import t from 'tap'
import { auditReport, type Log } from '../../src/audit/audit-report.ts'

const decided = '{"msg":"request","time":"2026-11-20T21:55:19.000Z","decision":"allowed"}\n'

const log = (name: string, ...chunks: readonly string[]): Log => ({
  name,
  open: async function* () {
    yield* chunks
  },
})

await t.test('all logs together, as text or JSON', async (test) => {
  const options = {
    logs: [log('a', decided), log('b', decided.slice(0, 9), decided.slice(9))],
    qciNamespace: 'ocp',
  }
  test.match(await auditReport({ ...options, json: false }), /^No loss is logged/)
  test.match(JSON.parse(await auditReport({ ...options, json: true })), {
    lines: { all: 2, decided: 2 },
    losses: [],
  })
})

await t.test('a log without a line of quay-proxy is an error', async (test) => {
  for (const chunks of [[], ['garbage\n', 'more'], ['{"msg":"listening"}\n']])
    await test.rejects(auditReport({ logs: [log('the log', ...chunks)], qciNamespace: 'ocp', json: false }), {
      message: /^the log: none of \d lines is about a decision of quay-proxy; expected its log/,
    })
})

await t.test('a log that cannot be read', async (test) => {
  const away = { name: '/away', open: () => createReadStream('/away', 'utf8') }
  const options = { qciNamespace: 'ocp', json: false }
  await test.rejects(auditReport({ ...options, logs: [log('a', decided), away] }), {
    message: '/away cannot be read (ENOENT)',
  })
  const broken: Log = {
    name: 'a',
    // oxlint-disable-next-line require-yield
    open: async function* () {
      throw new Error('gone')
    },
  }
  await test.rejects(auditReport({ ...options, logs: [broken] }), { message: 'a cannot be read (gone)' })
})
