/**
 * The settings: flags, or environment variables, because docker and podman pass no flags. The variables have their own prefix, because the
 * proxy refuses unknown variables that begin with QUAY_PROXY_.
 */
import { HelperError } from './helper-error.ts'
import { normalizedHost } from './server-host.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface Settings {
  /** The registries that get a credential: `host` or `host:port`, in lower case. */
  readonly hosts: readonly string[]
  /** The path of a file with a token, such as the one of a pod. */
  readonly tokenFile: string | undefined
  /** A bound token of this service account is handed out, not the token of the person. */
  readonly serviceAccount: { readonly namespace: string; readonly name: string } | undefined
  /** The lifetime of a bound token, in the format of `oc create token`. */
  readonly duration: string
  /** The context of the kubeconfig; undefined: the current one. */
  readonly context: string | undefined
  /** Origin of the API server that `oc` must be logged in to; undefined for any. */
  readonly clusterUrl: string | undefined
}

/** Every setting, with its default. */
const defaults = {
  hosts: 'quay-proxy.ci.openshift.org',
  'token-file': '',
  'service-account': '',
  duration: '1h',
  context: '',
  'cluster-url': '',
}
type Name = keyof typeof defaults

const names = Object.keys(defaults) as readonly Name[]

/** `token-file` is `DOCKER_CREDENTIAL_QUAY_PROXY_TOKEN_FILE`. */
export const variableOf = (name: string): string =>
  `DOCKER_CREDENTIAL_QUAY_PROXY_${name.toUpperCase().replaceAll('-', '_')}`

/**
 * @param flags as given: `--token-file=/path`
 * @throws {HelperError} if a setting cannot be read
 */
export const readSettings = (flags: readonly string[], environment: Environment): Settings => {
  const given = new Map(flags.map(readFlag))
  const valueOf = (name: Name): string => given.get(name) ?? (environment[variableOf(name)] || defaults[name])
  const optional = (name: Name): string | undefined => valueOf(name) || undefined
  return {
    hosts: valueOf('hosts')
      .split(/[\s,]+/)
      .filter(Boolean)
      .map(readHost),
    tokenFile: optional('token-file'),
    serviceAccount: readServiceAccount(valueOf('service-account')),
    duration: readDuration(valueOf('duration')),
    context: optional('context'),
    clusterUrl: readOrigin(valueOf('cluster-url')),
  }
}

const readFlag = (flag: string): [Name, string] => {
  const [, name, value = ''] = /^--([a-z-]+)=(.*)$/s.exec(flag) ?? []
  const known = names.find((candidate) => candidate === name)
  // Without the flag itself, which may be a misplaced secret.
  if (known === undefined)
    throw new HelperError(`an argument is none of ${names.map((each) => `--${each}=...`).join(', ')}`)
  return [known, value]
}

const wrong = (name: Name, expected: string): HelperError =>
  new HelperError(`--${name} or ${variableOf(name)} is not ${expected}`)

const readHost = (text: string): string => {
  const host = normalizedHost(text)
  if (host === undefined || text.includes('/'))
    throw wrong('hosts', `a list of hosts, such as ${defaults.hosts}`)
  return host
}

const readServiceAccount = (text: string): Settings['serviceAccount'] => {
  if (text === '') return undefined
  // Attack: a name that begins with a dash would be a flag of `oc`.
  const [, namespace, name] = /^([a-z0-9][a-z0-9-]*)\/([a-z0-9][a-z0-9.-]*)$/.exec(text) ?? []
  if (namespace === undefined || name === undefined)
    throw wrong('service-account', 'of the form namespace/name')
  return { namespace, name }
}

const readDuration = (text: string): string => {
  if (!/^\d{1,6}[smh]$/.test(text)) throw wrong('duration', 'a duration, such as 1h')
  return text
}

const readOrigin = (text: string): string | undefined => {
  if (text === '') return undefined
  if (!URL.canParse(text)) throw wrong('cluster-url', 'an origin, such as https://api.ci.example:6443')
  return new URL(text).origin
}
