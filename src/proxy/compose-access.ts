/**
 * Composes authentication and authorization: reviews of app.ci, the knowledge about digests, shared state, and the policy.
 */
import { createRecentGrants } from '../access/recent-grants.ts'
import { createRestrictedNamespaces } from '../access/restricted-namespaces.ts'
import { createAuthorizationMode } from '../audit/authorization-mode.ts'
import type { Config } from '../config/config.ts'
import type { Location } from '../digests/sightings.ts'
import { loadKubeConfig } from '../kubernetes/kubeconfig.ts'
import { composeDigests } from './compose-digests.ts'
import type { Logger } from '../telemetry/logging.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createTagOwner } from '../oci/qci-tag.ts'
import type { TagOwnerOf } from '../oci/reference.ts'
import type { SharedState } from '../shared-state/shared-state.ts'
import { composeReviews } from './compose-reviews.ts'
import { composeSharedState } from './compose-shared-state.ts'
import type { WatchedSecrets } from './secret-files.ts'

export const composeAccess = (config: Config, files: WatchedSecrets, logger: Logger, metrics: Metrics) => {
  const kubeConfig = loadKubeConfig(config.kubeconfig)
  for (const warning of kubeConfig.warnings) logger.warn(warning)
  const isRestricted = createRestrictedNamespaces(config.restrictedNamespaces)
  const ownerOf = createTagOwner(isRestricted)
  // The two send facts to each other.
  const shared: SharedState = composeSharedState({
    config,
    password: files.sharedStatePassword?.current,
    logger,
    metrics,
    apply: (facts) => digests.facts.apply(facts),
    snapshot: () => digests.facts.snapshot(),
  })
  const digests = composeDigests({
    imageStreams: config.imageStreams,
    restrictedIndex: config.restrictedIndex,
    restrictedIndexIntervalMs: config.restrictedIndexIntervalMs,
    kubeConfig,
    isRestricted,
    locate: (tag) => locationOf(ownerOf(tag), isRestricted),
    monorepos: monoreposOf(config),
    shared,
    logger,
    metrics,
  })
  const { apiServer, reviewToken, accessReviews } = composeReviews({ config, kubeConfig, shared, metrics })
  return {
    apiServer,
    reviewToken,
    digests,
    shared,
    isRestricted,
    ownerOf,
    ...createAuthorizationMode({
      authorization: config.authorization,
      qciNamespace: config.qciNamespace,
      unknownDigests: config.unknownDigests,
      reviews: accessReviews,
      knowledge: digests.knowledge,
      lookFurther: digests.lookFurther,
      recentGrants: createRecentGrants(shared.grants),
      isRestricted,
    }),
  }
}

const locationOf = (owner: ReturnType<TagOwnerOf>, isRestricted: (namespace: string) => boolean): Location =>
  owner.by === 'image-stream' ? { ...owner, isRestricted: isRestricted(owner.imageStream.namespace) } : owner

/** Promotion writes pull specs of these hosts into ImageStreams, whatever the names of this proxy and its upstream. */
const usualHosts = ['quay-proxy.ci.openshift.org', 'quay.io']

const monoreposOf = ({ exposed, upstream, upstreamRepository }: Config): readonly string[] =>
  [...new Set([exposed.host, upstream.host, ...usualHosts])].map((host) => `${host}/${upstreamRepository}`)
