/**
 * The arguments of `explain`: online with `--server`, offline with `--rbac`, or the rules alone.
 */
import type { Environment } from './command-line.ts'
import { ConfigError } from './config-error.ts'
import { file, flag, nonEmpty, repeatedFlag, type ValuesOf } from './flag-kinds.ts'
import { parseCommand } from './flag-values.ts'
import { flags } from './flags.ts'
import { parseOrigin } from './value-parsers.ts'

const { qciNamespace, restrictedNamespaces, unknownDigests, upstreamRepository, exposedHost, grantAdvice } =
  flags

export const explainFlags = {
  server: flag('server', undefined, 'origin of a proxy, which decides with your login', {
    expected: 'an origin, such as https://quay-proxy.ci.openshift.org',
    parse: parseOrigin,
  }),
  serverCaFile: flag(
    'server-ca-file',
    undefined,
    'PEM authorities accepted for the server, in addition to the well-known ones',
    file,
  ),
  tokenFile: flag(
    'token-file',
    undefined,
    'file with your token, - for standard input (default: the login of podman or docker for the server, then oc whoami -t)',
    file,
  ),
  rbac: repeatedFlag('rbac', 'offline: folder of RBAC manifests that decide; may be given several times', {
    expected: 'a folder of RBAC manifests',
    parse: nonEmpty,
  }),
  asUser: flag(
    'as-user',
    undefined,
    'offline: the user that pulls, such as system:serviceaccount:NAMESPACE:NAME',
    {
      expected: 'a user name',
      parse: nonEmpty,
    },
  ),
  asGroup: repeatedFlag('as-group', 'offline: a group of that user; may be given several times', {
    expected: 'a group',
    parse: nonEmpty,
  }),
  qciNamespace,
  restrictedNamespaces,
  unknownDigests,
  upstreamRepository,
  exposedHost,
  grantAdvice,
}

export type ExplainArguments = Omit<ValuesOf<typeof explainFlags>, 'upstreamRepository'> & {
  readonly image: string
  readonly monorepo: string
}

/** @throws {ConfigError} */
export const parseExplainArguments = (
  args: readonly string[],
  environment: Environment,
): ExplainArguments => {
  const syntax = { command: 'explain', flags: explainFlags, takesPositionals: true }
  const { values, positionals } = parseCommand(syntax, args, environment)
  const [image] = positionals
  if (image === undefined || positionals.length > 1)
    throw new ConfigError(['explain takes one reference, such as ocp/4.5:base, and flags'])
  const problems = problemsOf(values)
  if (problems.length > 0) throw new ConfigError(problems)
  const { upstreamRepository: monorepo, ...rest } = values
  return { image, monorepo, ...rest }
}

const problemsOf = (values: ValuesOf<typeof explainFlags>): readonly string[] => {
  const { server, serverCaFile, tokenFile, rbac, asUser, asGroup } = values
  const [isOnline, isOffline] = [server !== undefined, rbac.length > 0]
  const hasIdentity = asUser !== undefined || asGroup.length > 0
  return [
    ...(isOnline && isOffline
      ? ['--server asks a proxy, and --rbac decides offline: give one of the two']
      : []),
    ...(!isOnline && (serverCaFile ?? tokenFile) !== undefined
      ? ['--server-ca-file and --token-file are for --server: give it as well']
      : []),
    ...(isOffline && !hasIdentity ? ['--rbac needs --as-user or --as-group: who pulls?'] : []),
    ...(!isOffline && hasIdentity
      ? ['--as-user and --as-group are for --rbac: a proxy knows who you are']
      : []),
  ]
}
