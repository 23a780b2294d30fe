/**
 * The text of `--help`, written from the flag tables: it cannot promise a flag that does not exist.
 */
import { sandboxFlags } from './command-arguments.ts'
import { explainFlags } from './explain-arguments.ts'
import type { Flag } from './flag-kinds.ts'
import { aliases, deprecatedFlags, environmentName, flags } from './flags.ts'

export const help = (): string =>
  `quay-proxy: pull images of OpenShift CI from one quay.io repository, with the RBAC of a cluster deciding who may

  quay-proxy [serve] [flags]     the proxy
  quay-proxy sandbox [flags]     an embedded cluster and registry with the proxy in front, to try it
${Object.values(sandboxFlags).flatMap(describeOfSandbox).join('\n')}
  quay-proxy audit-report [FILE...]
                                 users that would lose access, from the log of a proxy with --authorization=audit (default: stdin)
      --json                     the same for machines
      --qci-namespace NAMESPACE  as for serve
  quay-proxy explain IMAGE       whether you may pull an image, and the next step; exit code 0: you may; 1: not; 2: unknown
${explainHelpFlags.flatMap(describeOfSandbox).join('\n')}
                                 --qci-namespace, --restricted-namespaces, --unknown-digests, --upstream-repository,
                                 --exposed-host, --grant-advice as for serve
  quay-proxy cache stats|verify|rm DIGEST|TAG --cache-dir DIR
                                 what the cache in a directory holds, whether all of it is right, and removal of an image
  quay-proxy --help | --version

Flags of serve. Each has a twin in the environment: --listen-addr is ${environmentName('listen-addr')}; the flag wins.
In brackets: the default, and the other values where they can be listed.

${Object.values(flags).map(describe).join('\n')}

Taken over from qci-appci: ${Object.entries(aliases)
    .map(([old, key]) => `--${old} is --${flags[key].name}`)
    .join('; ')}; ${Object.entries(deprecatedFlags)
    .map(([name, { reason }]) => `--${name} is accepted and has no effect (${reason})`)
    .join('; ')}.
`

const { server, serverCaFile, tokenFile, rbac, asUser, asGroup } = explainFlags
const explainHelpFlags: readonly Flag[] = [server, serverCaFile, tokenFile, rbac, asUser, asGroup]

const describe = ({ name, help: text, fallback = '', choices }: Flag): string => {
  const others = choices.filter((choice) => choice !== fallback)
  const values = others.length === 0 ? fallback : `${fallback}; or ${others.join(', ')}`
  return `  --${name.padEnd(26)} ${text}${values === '' ? '' : ` (${values})`}`
}

const placeholders: Readonly<Record<string, string>> = {
  rbac: ' DIR',
  as: ' WHO',
  port: ' N',
  server: ' URL',
  'server-ca-file': ' FILE',
  'token-file': ' FILE',
  'as-user': ' NAME',
  'as-group': ' NAME',
}
const [indent, width] = [33, 130]

const describeOfSandbox = ({ name, help: text }: Flag): readonly string[] => {
  const lines = wrap(text, width - indent)
  const head = `      --${name}${placeholders[name] ?? ''}`
  return lines.map((line, index) => `${(index === 0 ? head : '').padEnd(indent)}${line}`)
}

/** Breaks a text between words into lines of at most `most` characters. */
const wrap = (text: string, most: number): readonly string[] => {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`
    if (lines.length > 0 && line.length <= most) lines[lines.length - 1] = line
    else lines.push(word)
  }
  return lines
}
