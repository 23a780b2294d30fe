/**
 * The commands that print a text and end: `quay-proxy audit-report`, `explain` and `cache`.
 */
import { createReadStream } from 'node:fs'
import {
  parseAuditReportArguments,
  parseCacheArguments,
  parseExplainArguments,
} from '../config/command-arguments.ts'
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

/** @throws {Error} if the arguments are wrong, or the reference has no meaning */
export const explain = async (args: readonly string[], io: Io): Promise<number> => {
  const { reference, restrictedNamespaces, ...rest } = parseExplainArguments(args, io.environment)
  const { explain: explained } = await import('../explain/explain.ts')
  const { createRestrictedNamespaces } = await import('../access/restricted-namespaces.ts')
  const isRestricted = createRestrictedNamespaces(restrictedNamespaces)
  io.print(explained(reference, { ...rest, isRestricted }))
  return 0
}

/** @returns 1 if something is wrong with the cache. @throws {Error} if the arguments are wrong, or the directory is no cache */
export const cache = async (args: readonly string[], io: Io): Promise<number> => {
  const options = parseCacheArguments(args, io.environment)
  const { cacheCommand } = await import('../proxy/cache-command.ts')
  return (await cacheCommand({ ...options, print: io.print })) ? 0 : 1
}
