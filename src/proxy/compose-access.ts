/**
 * Composes authentication and authorization: reviews of app.ci, the knowledge about digests, shared state, and the policy.
 */
import { createPolicy } from '../access/policy.ts'
import { createRecentGrants } from '../access/recent-grants.ts'
import { createRequirements } from '../access/requirement.ts'
import { createRestrictedNamespaces } from '../access/restricted-namespaces.ts'
import type { Config } from '../config/config.ts'
import { userAgent } from '../config/version.ts'
import type { Location } from '../digests/sightings.ts'
import { loadKubeConfig, type AppCiKubeConfig } from '../kubernetes/kubeconfig.ts'
import { composeDigests, type Digests } from './compose-digests.ts'
import type { Logger } from '../telemetry/logging.ts'
import type { PartHealth } from '../telemetry/part-states.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../tracing/tracing.ts'
import { createTagOwner } from '../oci/qci-tag.ts'
import type { TagOwnerOf } from '../oci/reference.ts'
import type { SharedState } from '../shared-state/shared-state.ts'
import { composeReviews } from './compose-reviews.ts'
import { composeSharedState } from './compose-shared-state.ts'
import type { ReloadedFiles } from './reloaded-files.ts'

interface Context {
  readonly config: Config
  readonly files: ReloadedFiles
  readonly logger: Logger
  readonly metrics: Metrics
  readonly tracing: Tracing
}

export const composeAccess = (context: Context & { readonly apiServerHealth: PartHealth }) => {
  const { config, logger, metrics, tracing, apiServerHealth: health } = context
  const kubeConfig = config.logins === 'robots' ? undefined : loadKubeConfig(config.kubeconfig)
  if (kubeConfig !== undefined) kubeConfig.userAgent = userAgent
  for (const warning of kubeConfig?.warnings ?? []) logger.warn(warning)
  const isRestricted = createRestrictedNamespaces(config.restrictedNamespaces)
  const ownerOf = createTagOwner(isRestricted)
  const { shared, digests } = composeKnowledge(context, kubeConfig, { isRestricted, ownerOf })
  const { apiServer, reviewToken, accessReviews } = composeReviews({
    config,
    kubeConfig,
    shared,
    metrics,
    health,
    tracing,
  })
  const rules = { knowledge: digests.knowledge, isRestricted, unknownDigests: config.unknownDigests }
  const requirementsOf = createRequirements(rules)
  const recentGrants = createRecentGrants(shared.grants)
  const policy = createPolicy({
    reviews: accessReviews,
    requirementsOf,
    listedRequirementsOf: createRequirements({ ...rules, unknownDigests: 'deny' }),
    qciNamespace: config.qciNamespace,
    lookFurther: tracing.stage('look further', digests.lookFurther),
    recentGrants,
  })
  return {
    apiServer,
    reviewToken,
    digests,
    shared,
    isRestricted,
    ownerOf,
    policy,
    requirementsOf,
    reviews: accessReviews,
    recentGrants,
  }
}

interface Owners {
  readonly isRestricted: (namespace: string) => boolean
  readonly ownerOf: TagOwnerOf
}

/** The shared state and the digests, which send facts to each other. */
const composeKnowledge = (
  { config, files, logger, metrics, tracing }: Context,
  kubeConfig: AppCiKubeConfig | undefined,
  { isRestricted, ownerOf }: Owners,
): { readonly shared: SharedState; readonly digests: Digests } => {
  const shared: SharedState = composeSharedState({
    config,
    password: files.sharedStatePassword?.current,
    logger,
    metrics,
    tracing,
    apply: (facts) => digests.facts.apply(facts),
    snapshot: () => digests.facts.snapshot(),
    hasForgotten: () => digests.facts.hasForgotten,
  })
  const digests = composeDigests({
    imageStreams: config.imageStreams,
    restrictedIndex: config.restrictedIndex,
    restrictedNamespaces: config.restrictedNamespaces,
    restrictedIndexIntervalMs: config.restrictedIndexIntervalMs,
    kubeConfig,
    isRestricted,
    locate: (tag) => locationOf(ownerOf(tag), isRestricted),
    monorepos: monoreposOf(config),
    shared,
    logger,
    metrics,
  })
  return { shared, digests }
}

const locationOf = (owner: ReturnType<TagOwnerOf>, isRestricted: Owners['isRestricted']): Location =>
  owner.by === 'image-stream' ? { ...owner, isRestricted: isRestricted(owner.imageStream.namespace) } : owner

/** Promotion writes pull specs of these hosts into ImageStreams, whatever the names of this proxy and its upstream. */
const usualHosts = ['quay-proxy.ci.openshift.org', 'quay.io']

const monoreposOf = ({ exposed, upstream, upstreamRepository }: Config): readonly string[] =>
  [...new Set([exposed.host, upstream.host, ...usualHosts])].map((host) => `${host}/${upstreamRepository}`)
