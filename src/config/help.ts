/**
 * The text of `--help`, made from the flags themselves: it cannot promise what is not there.
 */
import { aliases, environmentName, flags, retired } from './flags.ts'

export const help = (): string =>
  `quay-proxy: pull images of OpenShift CI from one quay.io repository, with the RBAC of a cluster deciding who may

  quay-proxy [serve] [flags]     the proxy
  quay-proxy sandbox [flags]     an embedded cluster and registry with the proxy in front, to try it
      --check                    pull everything once, with all digests checked, and exit
      --rbac DIR                 RBAC manifests of the embedded cluster (default: manifests/rbac of the project)
      --port N                   where the proxy listens (default 8400; 0 for any free port)
  quay-proxy audit-report [FILE...]
                                 who would lose access, from the log of a proxy with --authorization=audit (default: stdin)
      --json                     the same for machines
      --qci-namespace NAMESPACE  as for serve
  quay-proxy explain REFERENCE   what an image is called in QCI, which reviews decide about it, and how access is granted;
                                 --qci-namespace, --restricted-namespaces, --unknown-digests, --upstream-repository as for serve
  quay-proxy --help | --version

Flags of serve. Each has a twin in the environment: --listen-addr is ${environmentName('listen-addr')}; the flag wins.

${Object.entries(flags).map(describe).join('\n')}

Taken over from qci-appci: ${Object.entries(aliases)
    .map(([old, name]) => `--${old} is --${name}`)
    .join('; ')}; ${Object.entries(retired)
    .map(([name, reason]) => `--${name} is accepted and has no effect (${reason})`)
    .join('; ')}.
`

const describe = ([name, { help: text, fallback }]: [
  string,
  { help: string; fallback: string | undefined },
]): string =>
  `  --${name.padEnd(26)} ${text}${fallback === undefined || fallback === '' ? '' : ` (${fallback})`}`
