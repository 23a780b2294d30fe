/**
 * Composes everything that finds out which tags reach a digest: the graph of facts, the claims of ImageStreams, the restricted index, and
 * the search before a refusal.
 */
import type { DigestKnowledge } from '../access/requirement.ts'
import { createClaimChecks, type ClaimChecks } from '../digests/claim-checks.ts'
import { createClaimFollower } from '../digests/claim-follower.ts'
import { Facts } from '../digests/facts.ts'
import { createLookFurther, type LookFurther } from '../digests/look-further.ts'
import { ReachGraph } from '../digests/reach-graph.ts'
import { RestrictedIndex } from '../digests/restricted-index/restricted-index.ts'
import type { Location } from '../digests/sightings.ts'
import { createRecordUnreadable } from '../digests/unreadable-manifest.ts'
import type { Logger } from '../telemetry/logging.ts'
import { createDigestMetrics } from '../telemetry/digest-metrics.ts'
import type { QciTag } from '../oci/reference.ts'
import type { SharedState } from '../shared-state/shared-state.ts'
import { notConnected, type DigestUpstream } from './digest-upstream.ts'
import { createWatchedClaims, type WatchedClaims, type WatchedClaimsOptions } from './watched-claims.ts'

export interface Digests {
  readonly facts: Facts
  readonly knowledge: DigestKnowledge
  readonly lookFurther: LookFurther
  /** See `Facts`. */
  readonly record: Facts['record']
  readonly recordUnreadable: ReturnType<typeof createRecordUnreadable>
  /** To be called before `start`. The upstream is created after this object, because it passes what it fetches to `record`. */
  readonly connect: (upstream: DigestUpstream) => void
  readonly start: () => void
  /** The reasons why this replica is not ready. */
  readonly notReady: () => readonly string[]
  /** Lines for `/readyz?verbose`. */
  readonly status: () => readonly string[]
  readonly close: () => Promise<void>
}

export interface ComposeDigestsOptions extends WatchedClaimsOptions {
  readonly restrictedIndex: 'on' | 'off'
  readonly restrictedIndexIntervalMs: number
  readonly restrictedNamespaces: readonly string[]
  readonly locate: (tag: QciTag) => Location
  readonly shared: Pick<SharedState, 'facts' | 'index'>
  /** Bound on digests of one restricted namespace. Default: that of `ReachGraph`. */
  readonly maxDigestsPerNamespace?: number
}

export const composeDigests = (options: ComposeDigestsOptions): Digests => new ComposedDigests(options)

class ComposedDigests implements Digests {
  readonly facts: Facts
  readonly record: Digests['record']
  readonly recordUnreadable: Digests['recordUnreadable']
  readonly knowledge: DigestKnowledge
  readonly lookFurther: LookFurther
  readonly #options: ComposeDigestsOptions
  readonly #graph: ReachGraph
  readonly #index: RestrictedIndex | undefined
  readonly #claims: WatchedClaims
  readonly #checks: ClaimChecks
  #upstream = notConnected

  constructor(options: ComposeDigestsOptions) {
    const { shared, locate, restrictedIndex, metrics } = options
    this.#options = options
    this.#graph = createGraph(options)
    this.facts = new Facts({ graph: this.#graph, locate, publish: shared.facts.publish })
    this.record = this.facts.record.bind(this.facts)
    this.recordUnreadable = createRecordUnreadable({ facts: this.facts, graph: this.#graph, locate })
    this.#index =
      restrictedIndex === 'on'
        ? createIndex(options, this.#graph, this.facts, () => this.#upstream)
        : undefined
    this.#claims = this.#watchClaims()
    this.#checks = this.#createChecks()
    this.knowledge = this.#createKnowledge()
    this.lookFurther = this.#createLookFurther()
    createDigestMetrics(metrics, () => ({ ...this.#graph.counts(), ...this.#index?.progress() }))
  }

  connect(upstream: DigestUpstream): void {
    this.#upstream = upstream
  }

  start(): void {
    this.#claims.start()
    this.#index?.start()
  }

  notReady(): readonly string[] {
    return [
      ...this.#claims.notReady(),
      // An index that is outdated closes digests that no tag reaches. All other pulls go on.
      ...((this.#index?.hasEverFollowedLive() ?? true) || this.#index?.isRestored() === true
        ? []
        : ['the index of restricted images is not complete yet']),
    ]
  }

  status(): readonly string[] {
    return this.#index === undefined ? [] : [this.#index.status()]
  }

  async close(): Promise<void> {
    await Promise.all([this.#claims.close(), this.#index?.close()])
  }

  #watchClaims(): WatchedClaims {
    const followClaims = this.#index && createFollower(this.#index, this.#options.logger)
    return createWatchedClaims(this.#options, ({ namespace }, digests) => {
      // An image stream of a restricted namespace has changed, so its tag in QCI has changed as well.
      const mayFollow = this.#index?.hasEverFollowedLive() === true && this.#options.isRestricted(namespace)
      if (followClaims === undefined || !mayFollow) return
      const unchecked = digests.filter(
        (digest) => !this.#graph.reachOf(digest).isRestricted && this.#checks.isClaimed(digest),
      )
      followClaims(namespace, unchecked.flatMap(this.#checks.closingClaims))
    })
  }

  #createChecks(): ClaimChecks {
    return createClaimChecks({
      claimsOf: this.#claims.of,
      isRestricted: this.#options.isRestricted,
      hasTagsOf: (namespace) => this.#index?.hasTagsOf(namespace) ?? true,
      hasFollowedAll: () => this.#index?.hasFollowedAll() ?? true,
    })
  }

  #createKnowledge(): DigestKnowledge {
    return {
      reachOf: (digest) => this.#graph.reachOf(digest),
      // Attack: without the index, a restricted image that was never pulled by tag looks like an image that no tag reaches.
      parentsOf: (digest) => (this.#index === undefined ? [] : this.#graph.parentsOf(digest)),
      isClaimed: this.#checks.isClaimed,
      hasFollowedLive: () => this.#index?.hasFollowedLive() ?? true,
      mayBeUnread: (digest) => this.#index?.hasUnread() === true && !this.#graph.wasReached(digest),
    }
  }

  #createLookFurther(): LookFurther {
    const { facts } = this.#options.shared
    return createLookFurther({
      graph: this.#graph,
      claimsOf: this.#claims.of,
      upstream: {
        fetchManifest: async (reference, requester) =>
          await this.#upstream.fetchManifest(reference, requester),
        fetchPage: async (after, requester) => await this.#upstream.fetchPage(after, requester),
      },
      catchUp: async () => (await facts.catchUp()) && facts.isCertain(),
      checkClaims: this.#checks.check,
    })
  }
}

const createFollower = (index: RestrictedIndex, logger: Logger) =>
  createClaimFollower({
    follow: async (tags) => await index.follow(tags),
    onFailure: (error) => logger.debug({ err: error }, 'stopped to follow the claims of an ImageStream'),
  })

const createGraph = ({ logger, maxDigestsPerNamespace }: ComposeDigestsOptions): ReachGraph =>
  new ReachGraph({
    ...(maxDigestsPerNamespace === undefined ? {} : { maxPerNamespace: maxDigestsPerNamespace }),
    onFull: (namespace) =>
      logger.error(
        { namespace },
        'a restricted namespace has more digests than are stored; its oldest images have to be pulled by tag',
      ),
  })

const createIndex = (
  options: ComposeDigestsOptions,
  graph: ReachGraph,
  facts: Facts,
  upstream: () => DigestUpstream,
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
    patterns: options.restrictedNamespaces,
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
