/**
 * Who they are and what they may, composed: reviews of app.ci, what is known of digests, and the rules.
 */
import { createRestricted } from '../access/restricted.ts'
import { createRules } from '../access/rules.ts'
import type { Config } from '../config/config.ts'
import { createAdmission } from '../kubernetes/admission.ts'
import { createApiServer } from '../kubernetes/api-server.ts'
import { loadKubeConfig } from '../kubernetes/kubeconfig.ts'
import { createReviewQueue } from '../kubernetes/review-queue.ts'
import { createAccessReviewer } from '../kubernetes/subject-access-review.ts'
import { createTokenReviewer } from '../kubernetes/token-review.ts'
import { createKnownDigests } from '../known-digests.ts'
import type { Logger } from '../logging.ts'
import type { Metrics } from '../metrics.ts'
import { createTagOwner } from '../oci/qci-tag.ts'
import { anonymousIdentity } from '../registry/anonymous.ts'
import type { SharedState } from '../shared-state/shared-state.ts'
import { composeSharedState } from './compose-shared-state.ts'
import type { Files } from './secret-files.ts'

export const composeAccess = (config: Config, files: Files, logger: Logger, metrics: Metrics) => {
  const kubeConfig = loadKubeConfig(config.kubeconfig)
  for (const warning of kubeConfig.warnings) logger.warn(warning)
  const apiServer = createApiServer({ kubeConfig })
  const isRestricted = createRestricted(config.restrictedNamespaces)
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
    ...config,
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
  const observe =
    (kind: string) =>
    ({ outcome, source }: { outcome: string; source: string }) => {
      if (source === 'asked') metrics.reviews.inc({ kind, outcome })
      else metrics.cacheHits.inc({ cache: kind, outcome, source })
    }
  const graceMs = config.authorizationGraceMs
  const tokens = queueOf('TokenReview', metrics)
  const access = queueOf('SubjectAccessReview', metrics)
  // Anybody may ask as nobody, for as many names as they can think of: that is not to be in the way of those who are known.
  const anonymousAccess = queueOf('SubjectAccessReview of system:anonymous', metrics, 8)
  const admission = createAdmission({
    observeLimited: (limit) => metrics.loginsLimited.inc({ limit }),
    onCharge: (address, kind) => shared.failedLogins.publish({ address, kind }),
  })
  shared.failedLogins.onCharge(({ address, kind }) => {
    if (kind === 'stranger' || kind === 'acquainted') admission.charge(String(address), kind)
  })
  const reviewToken = createTokenReviewer({
    ask: async (spec, turn) => await tokens(turn, async () => await apiServer.reviewToken(spec)),
    admit: admission.admit,
    audiences: config.tokenAudiences,
    format: config.tokenFormat,
    identityTtlMs: config.identityTtlMs,
    graceMs,
    observe: observe('TokenReview'),
  })
  const reviews = createAccessReviewer({
    ask: async (spec, asker) => {
      const queue = spec.user === anonymousIdentity.user.username ? anonymousAccess : access
      return await queue({ asker }, async () => await apiServer.reviewAccess(spec))
    },
    allowTtlMs: config.allowTtlMs,
    denyTtlMs: config.denyTtlMs,
    graceMs,
    observe: observe('SubjectAccessReview'),
  })
  return {
    apiServer,
    reviewToken,
    knownDigests,
    shared,
    isRestricted,
    ownerOf,
    ...createRules({
      ...config,
      reviews,
      knowledge: knownDigests.knowledge,
      lookFurther: knownDigests.lookFurther,
      isRestricted,
    }),
  }
}

/** Whose pull specs promotion writes into ImageStreams, whatever this proxy and its upstream are called. */
const usualHosts = ['quay-proxy.ci.openshift.org', 'quay.io']

/** More would only wait at the API server instead of here: it has a few hundred places for all of its clients. */
const maxReviewsInFlight = 64

const queueOf = (lane: string, metrics: Metrics, max = maxReviewsInFlight) =>
  createReviewQueue({
    max,
    maxQueued: 256,
    maxWaitMs: 1000,
    observeInFlight: (change) => metrics.reviewsInFlight.inc({ lane }, change),
    observeShed: () => metrics.reviewsShed.inc({ lane }),
  })
