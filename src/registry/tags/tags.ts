/**
 * GET /v2/<name>/tags/list (end-8a, end-8b): only the tags that the requester may pull.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { Policy } from '../../access/policy.ts'
import { Pace, type PaceOptions } from '../../concurrency/pace.ts'
import { TurnQueue } from '../../concurrency/turn-queue.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Identity } from '../../access/identity.ts'
import type { FetchTags } from '../../oci/image-source.ts'
import { tagPrefixOf, type ImageStream, type Repository, type TagOwnerOf } from '../../oci/reference.ts'
import { abortedWith } from '../abort.ts'
import { requesterOf } from '../requester.ts'
import { identityOf } from '../request-context.ts'
import { beforeDeadline } from '../decision-deadline.ts'
import type { CursorScope, TagCursors, TagPosition } from './tag-cursors.ts'
import { createVisibility, type Visibility } from './tag-visibility.ts'
import { walkTags, type TagWalk } from './tag-walk.ts'
import type { DenialMessage } from '../denial.ts'

export interface TagsOptions {
  readonly policy: Policy
  readonly ownerOf: TagOwnerOf
  readonly denied: DenialMessage
  readonly cursors: TagCursors
  readonly fetchTags: FetchTags
  /** For tests. */
  readonly listPace?: PaceOptions
}

/** quay's default number of tags, and the most that one request collects. */
const defaultCount = 100
const maxCount = 1000
/**
 * Attack: a loop over cached pages, which costs upstream nothing and takes the whole CPU with a thousand decisions for each page. The
 * limit: as many pages as a list of 30,000 tags has, then twice as fast as quay serves pages to everybody.
 */
const usualPace: PaceOptions = { burst: 30, everyMs: 100, maxWaitMs: 3000 }
/**
 * Attack: lists of one requester that wait for the same page of upstream, and then go through many cached pages at the same moment. A page
 * takes about 0.7 ms of decisions.
 */
const pagesPerTurn = 4

export const tagsHandler = (options: TagsOptions): RouteHandlerMethod => {
  const pace = new Pace(options.listPace ?? usualPace)
  const turns = new TurnQueue(pagesPerTurn)
  return async (request, reply) => {
    const repository = request.repository as Repository
    const identity = identityOf(request)
    const scope = { repository: repository.path, requester: cursorOwnerOf(identity) }
    const { count, from } = await parseQuery(request, options.cursors, scope)
    if (repository.form === 'image-stream')
      await beforeDeadline(request, authorizeList(request, repository, options))
    const signal = abortedWith(reply)
    const requester = requesterOf(request)
    await takeTurn(pace, requester, signal)
    const prefix = repository.form === 'monorepo' ? '' : tagPrefixOf(repository)
    const visibility = createVisibility({ ...options, identity, repository })
    const list = await walkTags({
      fetchTags: async (after) => {
        const page = await options.fetchTags({ after, requester, signal })
        await turns.turn(requester)
        return page
      },
      visibility,
      prefix,
      count,
      after: from.after === '' ? undefined : prefix + from.after,
    })
    const emptyPages = list.tags.length === 0 ? from.emptyPages + 1 : 0
    const goesOn =
      count > 0 && (list.stands !== undefined || (await isPadded(visibility, prefix, emptyPages)))
    if (goesOn) {
      const last = await lastOf(list, emptyPages, scope, options.cursors)
      const query = new URLSearchParams({ n: String(count), last })
      // A relative link: clients refuse a Link to another origin, and behind a route the proxy does not know its own origin.
      void reply.header('link', `</v2/${repository.path}/tags/list?${query}>; rel="next"`)
    }
    const body = JSON.stringify({ name: repository.path, tags: list.tags })
    return reply.header('content-type', 'application/json').send(Buffer.from(body))
  }
}

/** @throws {RegistryError} TOOMANYREQUESTS */
const takeTurn = async (pace: Pace, requester: string, signal: AbortSignal): Promise<void> => {
  const waitMs = pace.next(requester)
  if (waitMs === undefined)
    throw new RegistryError(
      'TOOMANYREQUESTS',
      'you list tags faster than this registry can decide about them; try again in 3 s',
      { headers: { 'retry-after': '3' } },
    )
  // If the client disconnects during the wait, fetching the first page fails.
  if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => undefined)
}

const lastOf = async (
  { stands, end }: TagWalk,
  emptyPages: number,
  scope: CursorScope,
  { seal }: TagCursors,
): Promise<string> => {
  const { after, isVisible } = stands ?? { after: end, isVisible: false }
  return isVisible ? after : await seal({ after, emptyPages }, scope)
}

/**
 * Attack: a requester without any access follows the Links of empty pages, and counts the hidden namespaces. So an empty list has 8, 64,
 * 512, .. empty pages, unless the requester is QCI-wide.
 */
const isPadded = async (visibility: Visibility, prefix: string, emptyPages: number): Promise<boolean> => {
  const isWhole = emptyPages > 1 && Number.isInteger(Math.log2(emptyPages) / 3)
  return prefix === '' && emptyPages > 0 && !isWhole && !(await visibility.isQciWide())
}

/** The hash of all that the TokenReview says about the identity. Robots are unknown to the cluster: their name. */
const cursorOwnerOf = (identity: Identity): string =>
  identity.kind === 'robot' ? `robot ${identity.user.username}` : `cluster ${identity.key}`

const authorizeList = async (
  request: FastifyRequest,
  imageStream: ImageStream,
  { policy, denied }: TagsOptions,
): Promise<void> => {
  const { namespace, name } = imageStream
  const identity = identityOf(request)
  const decision = await policy.decideImageStream(identity, imageStream)
  request.decision = decision
  if (!decision.allowed) throw denied({ identity, wanted: `the tags of ${namespace}/${name}`, namespace })
}

const parseQuery = async (
  request: FastifyRequest,
  cursors: TagCursors,
  scope: CursorScope,
): Promise<{ count: number; from: TagPosition }> => {
  const { n, last } = request.query as { n?: unknown; last?: unknown }
  if (n !== undefined && (typeof n !== 'string' || !/^\d{1,9}$/.test(n)))
    throw new RegistryError('UNSUPPORTED', 'n is the number of tags to list: 0 or more, given once', {
      status: 400,
    })
  if (last !== undefined && typeof last !== 'string')
    throw new RegistryError('UNSUPPORTED', 'last is the tag after which the list goes on, given once', {
      status: 400,
    })
  const count = Math.min(n === undefined ? defaultCount : Number(n), maxCount)
  const isFromStart = last === undefined || last === ''
  return { count, from: isFromStart ? { after: '', emptyPages: 0 } : await cursors.open(last, scope) }
}
