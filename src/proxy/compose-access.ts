/**
 * Who they are and what they may, composed: reviews of app.ci, what is known of digests, and the rules.
 */
import { createPolicy } from '../access/policy.ts'
import { createRememberedGrants } from '../access/remembered-grants.ts'
import { createRequirements } from '../access/requirement.ts'
import { createRestrictedNamespaces } from '../access/restricted-namespaces.ts'
import type { Config } from '../config/config.ts'
import { loadKubeConfig } from '../kubernetes/kubeconfig.ts'
import { createKnownDigests } from './known-digests.ts'
import type { Logger } from '../telemetry/logging.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createTagOwner } from '../oci/qci-tag.ts'
import type { SharedState } from '../shared-state/shared-state.ts'
import { composeReviews } from './compose-reviews.ts'
import { composeSharedState } from './compose-shared-state.ts'
import type { WatchedSecrets } from './secret-files.ts'

export const composeAccess = (config: Config, files: WatchedSecrets, logger: Logger, metrics: Metrics) => {
  const kubeConfig = loadKubeConfig(config.kubeconfig)
  for (const warning of kubeConfig.warnings) logger.warn(warning)
  const isRestricted = createRestrictedNamespaces(config.restrictedNamespaces)
  const ownerOf = createTagOwner(isRestricted)
  // Each tells the other what it learns.
  const shared: SharedState = composeSharedState({
    config,
    password: files.sharedStatePassword?.current,
    logger,
    metrics,
    apply: (facts) => knownDigests.facts.apply(facts),
    snapshot: () => knownDigests.facts.snapshot(),
  })
  const knownDigests = createKnownDigests({
    imageStreams: config.imageStreams,
    restrictedIndex: config.restrictedIndex,
    restrictedIndexIntervalMs: config.restrictedIndexIntervalMs,
    kubeConfig,
    isRestricted,
    locate: (tag) => {
      const owner = ownerOf(tag)
      return owner.by === 'image-stream'
        ? { ...owner, isRestricted: isRestricted(owner.imageStream.namespace) }
        : owner
    },
    monorepos: [...new Set([config.exposed.host, config.upstream.host, ...usualHosts])].map(
      (host) => `${host}/${config.upstreamRepository}`,
    ),
    shared,
    logger,
    metrics,
  })
  const { apiServer, reviewToken, accessReviews } = composeReviews({ config, kubeConfig, shared, metrics })
  const rules = { knowledge: knownDigests.knowledge, isRestricted, unknownDigests: config.unknownDigests }
  const requirementsOf = createRequirements(rules)
  const rememberedGrants = createRememberedGrants(shared.grants)
  const policy = createPolicy({
    reviews: accessReviews,
    requirementsOf,
    listedRequirementsOf: createRequirements({ ...rules, unknownDigests: 'deny' }),
    qciNamespace: config.qciNamespace,
    lookFurther: knownDigests.lookFurther,
    rememberedGrants,
  })
  return {
    apiServer,
    reviewToken,
    knownDigests,
    shared,
    isRestricted,
    ownerOf,
    policy,
    requirementsOf,
    reviews: accessReviews,
    rememberedGrants,
  }
}

/** Whose pull specs promotion writes into ImageStreams, whatever this proxy and its upstream are called. */
const usualHosts = ['quay-proxy.ci.openshift.org', 'quay.io']
