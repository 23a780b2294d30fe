/**
 * Flags of `serve`: who is accepted, what they may pull, and how long app.ci's answers are cached.
 */
import {
  duration,
  durationAboveZero,
  file,
  flag,
  listOf,
  matching,
  oneOf,
  trueOrFalse,
} from '../flag-kinds.ts'
import { dnsLabelPattern } from '../../oci/dns-label.ts'

export const accessFlags = {
  kubeconfig: flag('kubeconfig', undefined, 'kubeconfig of app.ci; the pod service account otherwise', file),
  qciNamespace: flag(
    'qci-namespace',
    'ocp',
    'namespace whose imagestreams/layers right opens the whole monorepo',
    { expected: 'a namespace', parse: matching(dnsLabelPattern) },
  ),
  restrictedNamespaces: flag(
    'restricted-namespaces',
    '*-priv,*-private',
    'namespaces that this right does not open',
    listOf('namespaces, with * for any run of characters', matching(/^[a-z0-9*](?:[a-z0-9*-]*[a-z0-9*])?$/)),
  ),
  unknownDigests: flag(
    'unknown-digests',
    'allow',
    'whether this right opens digests that nobody has pulled by tag',
    oneOf('allow', 'deny'),
  ),
  authorization: flag(
    'authorization',
    'enforce',
    'audit enforces the rule of qci-appci, and logs and counts who would lose access',
    oneOf('enforce', 'audit'),
  ),
  allowAnonymous: flag(
    'allow-anonymous',
    'false',
    'whether who is not logged in may pull what RBAC opens to everybody',
    trueOrFalse,
  ),
  imageStreams: flag(
    'imagestreams',
    'off',
    'whether ImageStreams of app.ci are watched, as hints which tag to resolve',
    oneOf('off', 'watch'),
  ),
  restrictedIndex: flag(
    'restricted-index',
    'on',
    'whether restricted tags are followed before they are pulled; off: upstream lists none',
    oneOf('on', 'off'),
  ),
  restrictedIndexIntervalMs: flag(
    'restricted-index-interval',
    '5m',
    'time between two looks for restricted tags that are new',
    durationAboveZero('5m'),
  ),
  tokenAudiences: flag(
    'token-audience',
    '',
    "audiences of tokens accepted beside the API server's own",
    listOf('audiences', matching(/^\S+$/)),
  ),
  tokenFormat: flag(
    'token-format',
    'any',
    'which tokens are reviewed; openshift: sha256~ and 43 characters, or a JWT',
    oneOf('any', 'openshift'),
  ),
  identityTtlMs: flag('identity-ttl', '60s', 'how long a reviewed token is remembered', duration),
  allowTtlMs: flag(
    'allow-ttl',
    '60s',
    'how long a granted access is remembered; a revocation holds after that',
    duration,
  ),
  denyTtlMs: flag('deny-ttl', '10s', 'how long a refused access is remembered', duration),
  authorizationGraceMs: flag(
    'authorization-grace',
    '5m',
    'how long remembered yeses count while the API server is away',
    duration,
  ),
} as const
