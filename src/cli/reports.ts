/**
 * `quay-proxy audit-report`: prints a text and ends.
 */
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { parseAuditReportArguments } from '../config/command-arguments.ts'
import type { Io } from './io.ts'

/** @throws {Error} if the arguments are wrong, or a log cannot be used */
export const auditReport = async (args: readonly string[], io: Io): Promise<number> => {
  const { files, ...rest } = parseAuditReportArguments(args, io.environment)
  const { auditReport: report } = await import('../audit/audit-report.ts')
  const standardInput = { name: 'standard input', open: io.openInput }
  const names = files.length === 0 ? ['-'] : files
  const logs = names.map((name) => (name === '-' ? standardInput : { name, open: () => openFile(name) }))
  if (logs.includes(standardInput) && io.isInputTerminal)
    io.printError('Waiting for a log on standard input. Ctrl-D ends it.')
  io.print(await report({ logs, ...rest }))
  return 0
}

/** A file whose name ends with `.gz` is decompressed. */
const openFile = (name: string): AsyncIterable<string> => {
  if (!name.endsWith('.gz')) return createReadStream(name, 'utf8')
  // The reader of the result gets the errors of both.
  return pipeline(createReadStream(name), createGunzip(), () => undefined).setEncoding('utf8')
}
