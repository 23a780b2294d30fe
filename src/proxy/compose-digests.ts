/**
 * What is known of digests, composed: the graph of facts, the claims of ImageStreams, the restricted index, and the search before a
 * refusal.
 */
import type { DigestKnowledge } from '../access/requirement.ts'
import { createClaimChecks } from '../digests/claim-checks.ts'
import { createClaimFollower } from '../digests/claim-follower.ts'
import { Facts } from '../digests/facts.ts'
import { createLookFurther, type LookFurther, type UpstreamReads } from '../digests/look-further.ts'
import { ReachGraph } from '../digests/reach-graph.ts'
import { RestrictedIndex, type IndexProgress } from '../digests/restricted-index/restricted-index.ts'
import type { TagPage } from '../digests/restricted-index/tag-scan.ts'
import type { Location } from '../digests/sightings.ts'
import type { Logger } from '../telemetry/logging.ts'
import { createDigestMetrics } from '../telemetry/metrics.ts'
import type { Digest, QciTag } from '../oci/reference.ts'
import type { SharedState } from '../shared-state/shared-state.ts'
import { createWatchedClaims, type WatchedClaimsOptions } from './watched-claims.ts'

export interface KnownDigests {
  readonly knowledge: DigestKnowledge
  readonly lookFurther: LookFurther
  /** See `Facts`. */
  readonly record: Facts['record']
  /** Before `start`: where the bytes come from is made after this, since it tells what it fetches to `record`. */
  readonly connect: (upstream: KnownDigestsUpstream) => void
  readonly start: () => void
  /** What keeps it from being relied upon. */
  readonly notReady: () => readonly string[]
  /** For people who ask how far it is. */
  readonly status: () => readonly string[]
  readonly close: () => Promise<void>
}

/** Reads of upstream: for a requester, or behind what people wait for. */
export interface KnownDigestsUpstream extends UpstreamReads {
  readonly fetchManifestInBackground: (
    reference: QciTag | Digest,
    signal: AbortSignal,
  ) => Promise<Digest | undefined>
  readonly fetchPageInBackground: (after: string | undefined, signal: AbortSignal) => Promise<TagPage>
}

export interface KnownDigestsOptions extends WatchedClaimsOptions {
  readonly restrictedIndex: 'on' | 'off'
  readonly restrictedIndexIntervalMs: number
  readonly locate: (tag: QciTag) => Location
  /** Made with what it tells, and what it asks for. */
  readonly shared: Pick<SharedState, 'facts' | 'index'>
}

export const createKnownDigests = (
  options: KnownDigestsOptions,
): KnownDigests & { readonly facts: Facts } => {
  const { logger, shared, isRestricted, locate } = options
  const graph = createGraph(logger)
  const facts = new Facts({ graph, locate, publish: shared.facts.publish })
  let upstream: KnownDigestsUpstream = notConnected
  const index =
    options.restrictedIndex === 'on' ? createIndex(options, graph, facts, () => upstream) : undefined
  const followClaims = index && createFollower(index, logger)
  const claims = createWatchedClaims(options, ({ namespace }, digests) => {
    // An image stream of a restricted namespace has changed: its tag in QCI has, too.
    if (followClaims === undefined || !isComplete() || !isRestricted(namespace)) return
    const unknown = digests.filter(
      (digest) => !graph.reachOf(digest).isRestricted && checks.isClaimed(digest),
    )
    followClaims(namespace, unknown.flatMap(checks.closingClaims))
  })
  const checks = createClaimChecks({
    claimsOf: claims.of,
    isRestricted,
    hasTagsOf: (namespace) => index?.hasTagsOf(namespace) ?? true,
    isWhole: () => index?.isWhole() ?? true,
  })
  const isComplete = () => index?.isComplete() ?? true
  createDigestMetrics(options.metrics, () => ({ ...graph.counts(), ...index?.progress() }))
  return {
    facts,
    record: facts.record.bind(facts),
    knowledge: {
      reachOf: (digest) => graph.reachOf(digest),
      // Attack: without the index, a restricted image that nobody has pulled by tag looks like one that no tag reaches.
      parentsOf: (digest) => (index === undefined ? [] : graph.parentsOf(digest)),
      isClaimed: checks.isClaimed,
      isComplete,
    },
    lookFurther: createLookFurther({
      graph,
      claimsOf: claims.of,
      upstream: reading(() => upstream),
      catchUp: async () => (await shared.facts.catchUp()) && shared.facts.isCertain(),
      checkClaims: checks.check,
    }),
    connect: (made) => {
      upstream = made
    },
    start: () => {
      claims.start()
      index?.start()
    },
    notReady: () => [
      ...claims.notReady(),
      ...(isComplete() ? [] : ['the index of restricted images is not complete yet']),
    ],
    status: () => (index === undefined ? [] : [describe(index.progress())]),
    close: async () => void (await Promise.all([claims.close(), index?.close()])),
  }
}

const createFollower = (index: RestrictedIndex, logger: Logger) =>
  createClaimFollower({
    follow: async (tags) => await index.follow(tags),
    onFailure: (error) => logger.debug({ err: error }, 'stopped to follow the claims of an ImageStream'),
  })

const createGraph = (logger: Logger): ReachGraph =>
  new ReachGraph({
    onFull: (namespace) =>
      logger.error(
        { namespace },
        'a restricted namespace has more digests than are kept: for its oldest, pullers need to pull by tag',
      ),
  })

/** Whatever is connected by then. */
const reading = (upstream: () => KnownDigestsUpstream): UpstreamReads => ({
  fetchManifest: async (reference, requester) => await upstream().fetchManifest(reference, requester),
  fetchPage: async (after, requester) => await upstream().fetchPage(after, requester),
})

const fail = async (): Promise<never> => await Promise.reject(new Error('not connected to upstream yet'))
const notConnected: KnownDigestsUpstream = {
  fetchManifest: fail,
  fetchPage: fail,
  fetchManifestInBackground: fail,
  fetchPageInBackground: fail,
}

const describe = ({ phase, pages, followed, isLiveComplete, isWhole }: IndexProgress): string => {
  const state = isWhole ? 'whole' : isLiveComplete ? 'live tags complete' : 'not complete'
  return `restricted index: ${state}; phase ${phase}, ${pages} pages of tags read, ${followed} tags followed`
}

const createIndex = (
  options: KnownDigestsOptions,
  graph: ReachGraph,
  facts: Facts,
  upstream: () => KnownDigestsUpstream,
): RestrictedIndex => {
  const { logger, locate, shared } = options
  return new RestrictedIndex({
    fetchPage: async (after, signal) => await upstream().fetchPageInBackground(after, signal),
    fetchManifest: async (reference, signal) => await upstream().fetchManifestInBackground(reference, signal),
    manifestsOf: (digest) => graph.manifestsOf(digest),
    isRestrictedDigest: (digest) => graph.reachOf(digest).isRestricted,
    locate,
    facts,
    shared: shared.index,
    catchUp: async () => {
      const isKnown = await shared.facts.catchUp()
      await graph.settled()
      return isKnown
    },
    intervalMs: options.restrictedIndexIntervalMs,
    onProgress: (progress) => logger.info({ ...progress, ...graph.counts() }, 'restricted index'),
    onFailure: (what, error) =>
      logger.warn(
        { err: error, what },
        'cannot read restricted tags of upstream; retrying (--restricted-index=off where upstream cannot list its tags)',
      ),
  })
}
