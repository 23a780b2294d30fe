/**
 * GET /v2/<name>/referrers/<digest> (end-12a, end-12b): the referrers that the requester may pull, each decided by its own digest. The
 * list is no evidence for access. Attack: a restricted attestation of an open image, published by the list of the image's referrers.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
 */
import type { RouteHandlerMethod } from 'fastify'
import type { Identity } from '../access/identity.ts'
import type { Policy } from '../access/policy.ts'
import { TurnQueue } from '../concurrency/turn-queue.ts'
import { RegistryError } from '../oci/errors.ts'
import { indexMediaType, isMediaType, type Descriptor } from '../oci/descriptor.ts'
import type { FetchReferrers } from '../oci/image-source.ts'
import type { Repository } from '../oci/reference.ts'
import { abortedWith } from './abort.ts'
import { requesterOf } from './requester.ts'
import { identityOf, referenceOf } from './request-context.ts'
import { beforeDeadline } from './decision-deadline.ts'

export interface ReferrersOptions {
  /** Concurrent requests get the same list object. */
  readonly fetchReferrers: FetchReferrers
  readonly policy: Policy
}

/** A list may have thousands of entries. Attack: many requests for one long list, whose decisions would all begin at the same moment. */
const listsPerTurn = 1

export const referrersHandler = ({ fetchReferrers, policy }: ReferrersOptions): RouteHandlerMethod => {
  const turns = new TurnQueue(listsPerTurn)
  return async (request, reply) => {
    const reference = referenceOf(request)
    if (reference.kind !== 'digest') throw new Error('referrers are asked for by digest')
    const artifactType = artifactTypeOf(request.query as { artifactType?: unknown })
    const signal = abortedWith(reply)
    const requester = requesterOf(request)
    const list = await fetchReferrers({
      digest: reference.digest,
      artifactType,
      requester,
      signal,
    })
    await turns.turn(requester)
    const visible = await decideAll(policy, identityOf(request), reference.repository, list.manifests, signal)
    if (list.isFiltered && artifactType !== undefined)
      void reply.header('oci-filters-applied', 'artifactType')
    // A Buffer: the framework would change the content type of a string.
    return reply.headers({ 'content-type': indexMediaType }).send(indexOf(list.manifests, visible))
  }
}

const artifactTypeOf = ({ artifactType }: { artifactType?: unknown }): string | undefined => {
  if (artifactType === undefined || isMediaType(artifactType)) return artifactType
  throw new RegistryError('UNSUPPORTED', 'artifactType is not a media type, such as application/spdx+json', {
    status: 400,
  })
}

/** Concurrent decisions of one list. Each may wait for a review, and other requests need reviews as well. */
const maxConcurrent = 8

/** One decision for each entry; upstream's side limits the number of entries. @throws {RegistryError} UNAVAILABLE after the deadline */
const decideAll = async (
  { mayList }: Pick<Policy, 'mayList'>,
  identity: Identity,
  repository: Repository,
  manifests: readonly Descriptor[],
  signal: AbortSignal,
): Promise<readonly boolean[]> => {
  const visible = manifests.map(() => false)
  const entries = manifests.entries()
  let isOver = false
  const work = async (): Promise<void> => {
    for (const [index, { digest }] of entries) {
      if (isOver || signal.aborted) return
      visible[index] = await mayList(identity, { kind: 'digest', repository, digest })
    }
  }
  try {
    // The deadline begins now: the time that upstream took for the list does not count.
    const since = { receivedAt: performance.now() }
    await beforeDeadline(since, Promise.all(Array.from({ length: maxConcurrent }, work)))
    return visible
  } finally {
    isOver = true
  }
}

/**
 * The serialized lists, by list and by visible entries. Attack: connections that request a list of megabytes and read nothing. All
 * requesters with the same view share the same bytes.
 */
const written = new WeakMap<readonly Descriptor[], Map<string, Buffer>>()
/** Cached views of one list: one for QCI-wide requesters, and a few for requesters with access to single namespaces. */
const maxViews = 4

const indexOf = (manifests: readonly Descriptor[], visible: readonly boolean[]): Buffer => {
  const views = written.get(manifests) ?? new Map<string, Buffer>()
  const view = visible.map(Number).join('')
  const known = views.get(view)
  if (known !== undefined) return known
  const index = {
    schemaVersion: 2,
    mediaType: indexMediaType,
    manifests: manifests.filter((_, position) => visible[position]),
  }
  const content = Buffer.from(JSON.stringify(index))
  if (views.size < maxViews) written.set(manifests, views.set(view, content))
  return content
}
