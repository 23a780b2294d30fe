/**
 * Flags of `serve`: the registry behind the proxy, how the proxy treats it, and what replicas share.
 */
import {
  directory,
  duration,
  durationAboveZero,
  file,
  flag,
  matching,
  oneOf,
  positive,
  size,
  sizeAboveZero,
} from '../flag-kinds.ts'
import { parseOrigin, parseStoreUrl } from '../value-parsers.ts'
import { s3Flags } from './s3-flags.ts'

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
    'PEM authorities accepted for upstream, in addition to the well-known ones',
    file,
  ),
  maxUpstreamConnections: flag(
    'max-upstream-connections',
    '1024',
    'connections per upstream origin, counted separately for blobs and other requests',
    positive,
  ),
  upstreamLimits: flag(
    'upstream-limits',
    'quay',
    'rate limits of upstream; use none for a cache or registry of your own',
    oneOf('quay', 'none'),
  ),
  replicas: flag(
    'replicas',
    '1',
    'proxies behind one address: each uses its share of the rates that quay.io allows an address',
    positive,
  ),
  /** Undefined if this process shares nothing. */
  sharedState: flag(
    'shared-state',
    undefined,
    'Valkey or Redis through which replicas share digests, rate limits and failed logins',
    {
      expected: 'a URL such as rediss://valkey.example.org:6379, with a user at most',
      parse: parseStoreUrl,
    },
  ),
  sharedStatePasswordFile: flag(
    'shared-state-password-file',
    undefined,
    'file with the password of shared state; read again for each connection',
    file,
  ),
  sharedStateCaFile: flag(
    'shared-state-ca-file',
    undefined,
    'PEM authorities accepted for shared state, instead of the well-known ones',
    file,
  ),
  stateDir: flag(
    'state-dir',
    undefined,
    'directory that keeps facts about digests over a restart; by default `state` in --cache-dir',
    directory,
  ),
  stallTimeoutMs: flag(
    'stall-timeout',
    '10s',
    'how long upstream may send nothing within a blob before the rest is requested again',
    durationAboveZero('10s'),
  ),
  retryTimeoutMs: flag('retry-timeout', '8s', 'how long a request is retried while upstream fails', duration),
  manifestCacheBytes: flag('manifest-cache-bytes', '256Mi', 'size of the manifest cache; 0 for none', size),
  /** Undefined if nothing is cached on a disk. */
  cacheDir: flag(
    'cache-dir',
    undefined,
    'directory of this process that caches blobs and manifests',
    directory,
  ),
  cacheBytes: flag(
    'cache-bytes',
    '50Gi',
    'size of that cache; the least recently used entries are removed first',
    sizeAboveZero,
  ),
  ...s3Flags,
  tagTtlMs: flag('tag-ttl', '10s', 'how long the digest of a tag is cached', duration),
  staleIfErrorMs: flag(
    'stale-if-error',
    '1h',
    'how long a cached tag is served while upstream fails',
    duration,
  ),
  blobDelivery: flag(
    'blob-delivery',
    'stream',
    'stream sends the bytes, redirect sends signed URLs of upstream or S3',
    oneOf('stream', 'redirect'),
  ),
} as const
