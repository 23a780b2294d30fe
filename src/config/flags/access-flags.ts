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
  logins: flag(
    'logins',
    'all',
    'who may log in; with robots, only robots of upstream, which needs no cluster',
    oneOf('all', 'robots'),
  ),
  kubeconfig: flag(
    'kubeconfig',
    undefined,
    'kubeconfig of app.ci; without it: the service account of the pod',
    file,
  ),
  qciNamespace: flag(
    'qci-namespace',
    'ocp',
    'namespace whose imagestreams/layers right opens the whole monorepo',
    { expected: 'a namespace', parse: matching(dnsLabelPattern) },
  ),
  restrictedNamespaces: flag(
    'restricted-namespaces',
    '*-priv,*-private',
    'namespaces that QCI-wide access does not open',
    listOf('namespaces, with * for any run of characters', matching(/^[a-z0-9*](?:[a-z0-9*-]*[a-z0-9*])?$/)),
  ),
  unknownDigests: flag(
    'unknown-digests',
    'allow',
    'whether QCI-wide access opens digests that the proxy has not seen under a tag',
    oneOf('allow', 'deny'),
  ),
  authorization: flag(
    'authorization',
    'enforce',
    'audit enforces the rule of qci-appci, and reports pulls that would lose access',
    oneOf('enforce', 'audit'),
  ),
  grantAdvice: flag(
    'grant-advice',
    'oc-policy',
    'how access is granted: a command, or a PR for openshift/release',
    oneOf('oc-policy', 'release-repo'),
  ),
  allowAnonymous: flag(
    'allow-anonymous',
    'false',
    'whether clients without a login may pull images that RBAC opens to everybody',
    trueOrFalse,
  ),
  imageStreams: flag(
    'imagestreams',
    'off',
    'whether ImageStreams of app.ci are watched, as hints which tags to resolve',
    oneOf('off', 'watch'),
  ),
  restrictedIndex: flag(
    'restricted-index',
    'on',
    'whether restricted tags are followed in advance; use off if upstream cannot list tags',
    oneOf('on', 'off'),
  ),
  restrictedIndexIntervalMs: flag(
    'restricted-index-interval',
    '5m',
    'time between two searches for new restricted tags',
    durationAboveZero('5m'),
  ),
  tokenAudiences: flag(
    'token-audience',
    '',
    "audiences of tokens that are accepted, in addition to the API server's own",
    listOf('audiences', matching(/^\S+$/)),
  ),
  tokenFormat: flag(
    'token-format',
    'any',
    'which tokens are reviewed; openshift: only sha256~ with 43 characters, or a JWT',
    oneOf('any', 'openshift'),
  ),
  identityTtlMs: flag('identity-ttl', '60s', 'how long the review of a token is cached', duration),
  allowTtlMs: flag(
    'allow-ttl',
    '60s',
    'how long a grant is cached; a revocation takes effect after at most this time',
    duration,
  ),
  denyTtlMs: flag('deny-ttl', '10s', 'how long a denial is cached', duration),
  authorizationGraceMs: flag(
    'authorization-grace',
    '5m',
    'how long cached grants are used while the API server is unavailable',
    duration,
  ),
} as const
