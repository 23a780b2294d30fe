/**
 * Flags of `serve`: the registry behind the proxy, how the proxy treats it, and what replicas share.
 */
import {
  duration,
  durationAboveZero,
  file,
  flag,
  matching,
  nonEmpty,
  oneOf,
  positive,
  size,
} from '../flag-kinds.ts'
import { parseOrigin, parseStoreUrl } from '../value-parsers.ts'

export const upstreamFlags = {
  upstream: flag(
    'upstream',
    'https://quay.io',
    'origin of the registry that holds QCI, or of a cache in front of it',
    { expected: 'an origin, such as https://quay.io', parse: parseOrigin },
  ),
  upstreamRepository: flag('upstream-repository', 'openshift/ci', 'the monorepo', {
    expected: 'a repository of two components, such as openshift/ci',
    parse: matching(/^[a-z0-9]+(?:[._-]+[a-z0-9]+)*\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/),
  }),
  upstreamCaFile: flag(
    'upstream-ca-file',
    undefined,
    'PEM authorities accepted for upstream beside the well-known ones',
    file,
  ),
  maxUpstreamConnections: flag(
    'max-upstream-connections',
    '1024',
    'connections to one upstream origin at a time, for blobs and for the rest each',
    positive,
  ),
  upstreamLimits: flag(
    'upstream-limits',
    'quay',
    'whose request rates it stays below; none is for a cache or registry of your own',
    oneOf('quay', 'none'),
  ),
  replicas: flag(
    'replicas',
    '1',
    'proxies behind one address: each takes its share of what quay.io allows an address',
    positive,
  ),
  /** Undefined if this process shares nothing. */
  sharedState: flag(
    'shared-state',
    undefined,
    'Valkey or Redis through which replicas share what they know and may do',
    {
      expected: 'a URL such as rediss://valkey.example.org:6379, with a user at most',
      parse: parseStoreUrl,
    },
  ),
  sharedStatePasswordFile: flag(
    'shared-state-password-file',
    undefined,
    'file with the password of it; read again for each connection',
    file,
  ),
  sharedStateCaFile: flag(
    'shared-state-ca-file',
    undefined,
    'PEM authorities accepted for it, instead of the well-known ones',
    file,
  ),
  stateDir: flag(
    'state-dir',
    undefined,
    'directory of this process that keeps what it knows over a restart',
    { expected: 'the path of a directory', parse: nonEmpty },
  ),
  stallTimeoutMs: flag(
    'stall-timeout',
    '10s',
    'how long upstream may be silent within a blob before the rest is asked for',
    durationAboveZero('10s'),
  ),
  retryTimeoutMs: flag(
    'retry-timeout',
    '8s',
    'how long a request is tried again while upstream has trouble',
    duration,
  ),
  manifestCacheBytes: flag('manifest-cache-bytes', '256Mi', 'manifests kept in memory; 0 keeps none', size),
  tagTtlMs: flag('tag-ttl', '10s', 'how long a tag is taken to stay where it was seen', duration),
  staleIfErrorMs: flag(
    'stale-if-error',
    '1h',
    'how long a known tag is served while upstream has trouble',
    duration,
  ),
  blobDelivery: flag(
    'blob-delivery',
    'stream',
    "redirect hands out upstream's signed URLs instead of the bytes",
    oneOf('stream', 'redirect'),
  ),
} as const
