/**
 * The command line and its environment twin: which flags there are, what they mean, and how their text becomes a value.
 */
import { logLevels, type LogLevel } from '../telemetry/logging.ts'
import { dnsLabelPattern } from '../oci/dns-label.ts'
import {
  aboveZero,
  address,
  atLeastMinute,
  directory,
  duration,
  file,
  flag,
  listOf,
  matching,
  oneOf,
  positive,
  size,
  sizeAboveZero,
  trueOrFalse,
} from './flag-kinds.ts'
import { parseDuration, parseHost, parseNetwork, parseOrigin, parseStoreUrl } from './value-parsers.ts'

/** Every flag of `serve`, in the order of the help text. */
export const flags = {
  'listen-addr': flag('127.0.0.1:8400', 'address to serve on', address),
  'exposed-host': flag(
    'quay-proxy.ci.openshift.org',
    'host that clients use; the realm is https://HOST/v2/auth',
    ['a host, such as quay-proxy.ci.openshift.org', parseHost],
  ),
  'exposed-url': flag(
    undefined,
    'origin that clients use, instead of --exposed-host, where it is not https',
    ['an origin, such as http://127.0.0.1:8400', parseOrigin],
  ),
  'grace-period': flag('10s', 'how long running pulls may take to end after SIGTERM', duration),
  'robot-username-file': flag(
    undefined,
    "file with the upstream robot's user name; several robots: one a line",
    file,
  ),
  'robot-password-file': flag(
    undefined,
    "file with the upstream robot's password; several: in the same order",
    file,
  ),
  'robot-dockerconfig-file': flag(
    undefined,
    'dockerconfigjson with the robot, instead of the two files',
    file,
  ),
  'token-secret-file': flag(
    undefined,
    'file with the secret that signs robot logins; further lines: accepted beside it',
    file,
  ),
  'require-strong-secrets': flag(
    'false',
    'whether a token secret that could be guessed is refused',
    trueOrFalse,
  ),
  'token-validity': flag('6h', 'life of a robot login', [
    'a duration of a minute or more, such as 6h',
    (text) => atLeastMinute(parseDuration(text)),
  ]),
  'tls-cert-file': flag(undefined, 'PEM certificate chain to serve with; reloaded when it changes', file),
  'tls-key-file': flag(undefined, 'PEM private key of it', file),
  upstream: flag('https://quay.io', 'origin of the registry that holds QCI, or of a cache in front of it', [
    'an origin, such as https://quay.io',
    parseOrigin,
  ]),
  'upstream-repository': flag('openshift/ci', 'the monorepo', [
    'a repository of two components, such as openshift/ci',
    matching(/^[a-z0-9]+(?:[._-]+[a-z0-9]+)*\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/),
  ]),
  'upstream-ca-file': flag(
    undefined,
    'PEM authorities accepted for upstream beside the well-known ones',
    file,
  ),
  'max-upstream-connections': flag(
    '1024',
    'connections to one upstream origin at a time, for blobs and for the rest each',
    ['a number from 1', positive],
  ),
  'upstream-limits': flag(
    'quay',
    'whose request rates it stays below; none is for a cache or registry of your own',
    oneOf('quay', 'none'),
  ),
  replicas: flag('1', 'proxies behind one address: each takes its share of what quay.io allows an address', [
    'a number from 1',
    positive,
  ]),
  'shared-state': flag(undefined, 'Valkey or Redis through which replicas share what they know and may do', [
    'a URL such as rediss://valkey.example.org:6379, with a user at most',
    parseStoreUrl,
  ]),
  'shared-state-password-file': flag(
    undefined,
    'file with the password of it; read again for each connection',
    file,
  ),
  'shared-state-ca-file': flag(
    undefined,
    'PEM authorities accepted for it, instead of the well-known ones',
    file,
  ),
  'state-dir': flag(
    undefined,
    'directory of this process that keeps what it knows over a restart',
    directory,
  ),
  'stall-timeout': flag('10s', 'how long upstream may be silent within a blob before the rest is asked for', [
    'a duration above 0, such as 10s',
    (text) => aboveZero(parseDuration(text)),
  ]),
  'retry-timeout': flag('8s', 'how long a request is tried again while upstream has trouble', duration),
  'manifest-cache-bytes': flag('256Mi', 'manifests kept in memory; 0 keeps none', size),
  'cache-dir': flag(undefined, 'directory of this process that caches blobs and manifests', directory),
  'cache-bytes': flag('50Gi', 'size of that cache; the least recently used goes first', sizeAboveZero),
  'tag-ttl': flag('10s', 'how long a tag is taken to stay where it was seen', duration),
  'stale-if-error': flag('1h', 'how long a known tag is served while upstream has trouble', duration),
  'blob-delivery': flag(
    'stream',
    "redirect hands out upstream's signed URLs instead of the bytes",
    oneOf('stream', 'redirect'),
  ),
  kubeconfig: flag(undefined, 'kubeconfig of app.ci; the pod service account otherwise', file),
  'qci-namespace': flag('ocp', 'namespace whose imagestreams/layers right opens the whole monorepo', [
    'a namespace',
    matching(dnsLabelPattern),
  ]),
  'restricted-namespaces': flag(
    '*-priv,*-private',
    'namespaces that this right does not open',
    listOf('namespaces, with * for any run of characters', matching(/^[a-z0-9*](?:[a-z0-9*-]*[a-z0-9*])?$/)),
  ),
  'unknown-digests': flag(
    'allow',
    'whether this right opens digests that nobody has pulled by tag',
    oneOf('allow', 'deny'),
  ),
  authorization: flag(
    'enforce',
    'audit enforces the rule of qci-appci, and logs and counts who would lose access',
    oneOf('enforce', 'audit'),
  ),
  'allow-anonymous': flag(
    'false',
    'whether who is not logged in may pull what RBAC opens to everybody',
    trueOrFalse,
  ),
  imagestreams: flag(
    'off',
    'whether ImageStreams of app.ci are watched, as hints which tag to resolve',
    oneOf('off', 'watch'),
  ),
  'restricted-index': flag(
    'on',
    'whether restricted tags are followed before they are pulled; off: upstream lists none',
    oneOf('on', 'off'),
  ),
  'restricted-index-interval': flag('5m', 'time between two looks for restricted tags that are new', [
    'a duration above 0, such as 5m',
    (text) => aboveZero(parseDuration(text)),
  ]),
  'token-audience': flag(
    '',
    "audiences of tokens accepted beside the API server's own",
    listOf('audiences', matching(/^\S+$/)),
  ),
  'token-format': flag(
    'any',
    'which tokens are reviewed; openshift: sha256~ and 43 characters, or a JWT',
    oneOf('any', 'openshift'),
  ),
  'identity-ttl': flag('60s', 'how long a reviewed token is remembered', duration),
  'allow-ttl': flag(
    '60s',
    'how long a granted access is remembered; a revocation holds after that',
    duration,
  ),
  'deny-ttl': flag('10s', 'how long a refused access is remembered', duration),
  'authorization-grace': flag('5m', 'how long remembered yeses count while the API server is away', duration),
  'trusted-proxies': flag(
    '',
    'addresses and networks whose X-Forwarded-For is believed, in logs and for limits',
    listOf('IP addresses or networks from /1 on, such as 10.128.0.0/14', parseNetwork),
  ),
  'proxy-protocol': flag(
    'false',
    'whether connections of --trusted-proxies begin with a header of the PROXY protocol',
    trueOrFalse,
  ),
  'metrics-addr': flag(undefined, 'address of /metrics, /healthz and /readyz; no metrics otherwise', address),
  'log-level': flag('info', 'the least that is logged', oneOf<LogLevel>(...logLevels)),
} as const

export type FlagName = keyof typeof flags
export type FlagValues = {
  readonly [Name in FlagName]: Exclude<ReturnType<(typeof flags)[Name]['parse']>, undefined> | undefined
}

/** Flags of qci-appci under their old names. */
export const aliases: Readonly<Record<string, FlagName>> = { gracePeriod: 'grace-period' }

/** Flags of qci-appci that have nothing left to mean, and why; accepted, so that its Deployment starts this program. */
export const deprecatedFlags: Readonly<Record<string, string>> = {
  interval: 'robot tokens are renewed before their own expiry',
  'ignore-sar-check': 'every pull is decided by RBAC: bind system:image-puller in a namespace to open it',
}

/** Flags that mean `true` without a value, as with Go's flag package: the argument after them is another flag. */
export const booleanFlags: ReadonlySet<string> = new Set([
  'ignore-sar-check',
  'allow-anonymous',
  'require-strong-secrets',
  'proxy-protocol',
])

/** `--listen-addr` -> `QUAY_PROXY_LISTEN_ADDR` */
export const environmentName = (name: string): string =>
  `QUAY_PROXY_${name.toUpperCase().replaceAll('-', '_')}`
