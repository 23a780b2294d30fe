/**
 * The text of `--help`, made from the flags themselves: it cannot promise what is not there.
 */
import type { Flag } from './flag-kinds.ts'
import { aliases, environmentName, flags, deprecatedFlags } from './flags.ts'

export const help = (): string =>
  `quay-proxy: pull images of OpenShift CI from one quay.io repository, with the RBAC of a cluster deciding who may

  quay-proxy [serve] [flags]     the proxy
  quay-proxy sandbox [flags]     an embedded cluster and registry with the proxy in front, to try it
      --check                    pull everything once, with all digests checked, and exit
      --rbac DIR                 RBAC manifests of the embedded cluster, beside what the proxy itself needs; may be given several
                                 times (default: manifests/rbac and examples of the project)
      --as WHO                   who logs in: a user, group:NAME or system:serviceaccount:NAMESPACE:NAME; may be given several
                                 times (default: some of those whom the RBAC names)
      --port N                   where the proxy listens (default 8400; 0 for any free port)
  quay-proxy audit-report [FILE...]
                                 who would lose access, from the log of a proxy with --authorization=audit (default: stdin)
      --json                     the same for machines
      --qci-namespace NAMESPACE  as for serve
  quay-proxy explain REFERENCE   what an image is called in QCI, which reviews decide about it, and how access is granted;
                                 --qci-namespace, --restricted-namespaces, --unknown-digests, --upstream-repository as for serve
  quay-proxy cache stats|verify|rm DIGEST|TAG --cache-dir DIR
                                 what the cache in a directory holds, whether all of it is right, and removal of an image
  quay-proxy --help | --version

Flags of serve. Each has a twin in the environment: --listen-addr is ${environmentName('listen-addr')}; the flag wins.
In brackets: the default, and the other values where they can be listed.

${Object.entries(flags).map(describe).join('\n')}

Taken over from qci-appci: ${Object.entries(aliases)
    .map(([old, name]) => `--${old} is --${name}`)
    .join('; ')}; ${Object.entries(deprecatedFlags)
    .map(([name, reason]) => `--${name} is accepted and has no effect (${reason})`)
    .join('; ')}.
`

const describe = ([name, { help: text, fallback = '', choices }]: [
  string,
  Pick<Flag<unknown>, 'help' | 'fallback' | 'choices'>,
]): string => {
  const others = choices.filter((choice) => choice !== fallback)
  const values = others.length === 0 ? fallback : `${fallback}; or ${others.join(', ')}`
  return `  --${name.padEnd(26)} ${text}${values === '' ? '' : ` (${values})`}`
}
