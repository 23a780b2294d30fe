/**
 * `quay-proxy audit-report`: prints a text and ends.
 */
import { createReadStream } from 'node:fs'
import { parseAuditReportArguments } from '../config/command-arguments.ts'
import type { Io } from './io.ts'

/** @throws {Error} if the arguments are wrong, or a log cannot be used */
export const auditReport = async (args: readonly string[], io: Io): Promise<number> => {
  const { files, ...rest } = parseAuditReportArguments(args, io.environment)
  const { auditReport: report } = await import('../audit/audit-report.ts')
  const standardInput = { name: 'standard input', open: io.openInput }
  const logs = files.map((name) => ({ name, open: () => createReadStream(name, 'utf8') }))
  io.print(await report({ logs: logs.length === 0 ? [standardInput] : logs, ...rest }))
  return 0
}
