/**
 * The arguments of `sandbox` and `audit-report`. Flags that they share with `serve` have the same name, form, fallback and
 * environment variable.
 */
import type { Environment } from './command-line.ts'
import { flag, givenOrNot, nonEmpty, repeatedFlag, type ValuesOf } from './flag-kinds.ts'
import { parseCommand } from './flag-values.ts'
import { flags } from './flags.ts'

export const sandboxFlags = {
  check: flag('check', 'false', 'pull everything once, with all digests checked, and exit', givenOrNot),
  /** Directories; none for those of the project. */
  rbac: repeatedFlag(
    'rbac',
    'RBAC manifests of the embedded cluster, in addition to those that the proxy needs; may be given several times (default: manifests/rbac and examples of the project)',
    { expected: 'a folder of RBAC manifests', parse: nonEmpty },
  ),
  /** Who logs in; none for some of the identities in the RBAC. */
  as: repeatedFlag(
    'as',
    'an identity that logs in: a user, group:NAME or system:serviceaccount:NAMESPACE:NAME; may be given several times (default: some identities in the RBAC)',
    { expected: 'a user, group:NAME, or system:serviceaccount:NAMESPACE:NAME', parse: nonEmpty },
  ),
  /** Whether each digest is printed. */
  verbose: flag(
    'verbose',
    'false',
    'print each digest, each refusal, and the tags of the registry',
    givenOrNot,
  ),
  port: flag('port', undefined, 'port of the proxy (default 8400; 0 for any free port)', {
    expected: 'a port, or 0 for any free one',
    // Number takes an empty text for 0, and 1e3 for 1000.
    parse: (text) => (/^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined),
  }),
} as const

export type SandboxArguments = ValuesOf<typeof sandboxFlags>

/** @throws {ConfigError} */
export const parseSandboxArguments = (args: readonly string[]): SandboxArguments =>
  parseCommand({ command: 'sandbox', flags: sandboxFlags }, args, {}).values

const { qciNamespace } = flags

export const auditReportFlags = {
  json: flag('json', 'false', 'print JSON', givenOrNot),
  qciNamespace,
}

/** `files`: none for standard input. */
export type AuditReportArguments = ValuesOf<typeof auditReportFlags> & { readonly files: readonly string[] }

/** @throws {ConfigError} */
export const parseAuditReportArguments = (
  args: readonly string[],
  environment: Environment,
): AuditReportArguments => {
  const syntax = { command: 'audit-report', flags: auditReportFlags, takesPositionals: true }
  const { values, positionals } = parseCommand(syntax, args, environment)
  return { files: positionals, ...values }
}
