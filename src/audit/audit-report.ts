/**
 * Logs -> the report. Unreadable logs are an error: an empty report would say that nobody loses access.
 */
import { splitLines } from './split-lines.ts'
import { createReportBuilder } from './report.ts'
import { reportText } from './report-text.ts'

/** A log, and its name in messages. */
export interface Log {
  readonly name: string
  readonly open: () => AsyncIterable<string>
}

export interface AuditReportOptions {
  readonly logs: readonly Log[]
  readonly qciNamespace: string
  readonly json: boolean
}

/** Errors of zlib. */
const reasons: Readonly<Record<string, string>> = {
  Z_BUF_ERROR: 'the file was cut off',
  Z_DATA_ERROR: 'it is not gzip, or it is damaged',
}

/** @throws {Error} if a log cannot be read, or no log has a line of quay-proxy */
export const auditReport = async ({ logs, qciNamespace, json }: AuditReportOptions): Promise<string> => {
  const summing = createReportBuilder(qciNamespace)
  for (const { name, open } of logs)
    try {
      for await (const line of splitLines(open())) summing.add(line)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      throw new Error(`${name} cannot be read (${reasons[`${code}`] ?? code ?? message})`, { cause: error })
    }
  const report = summing.report()
  if (report.from === undefined)
    throw new Error(
      `${logs.map(({ name }) => name).join(', ')}: none of ${report.lines.all} lines is about a decision of quay-proxy; expected its log: JSON lines, at level info`,
    )
  return json ? JSON.stringify(report) : reportText(report)
}
