/**
 * GET /v2/<name>/tags/list (end-8a, end-8b): only the tags that the asker may pull.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
 */
import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { Identity } from '../access/identity.ts'
import type { Policy } from '../access/policy.ts'
import { RegistryError } from '../errors.ts'
import { isQciTag, tagOwner, type ImageStream, type Repository } from '../reference.ts'
import { abortedWith } from './abort.ts'
import { identityOf } from './authorization.ts'
import { beforeDeadline } from './deadline.ts'
import type { TagCursors } from './tag-cursors.ts'
import type { Denied } from './denied.ts'

export interface TagsOptions {
  readonly policy: Policy
  readonly denied: Denied
  readonly cursors: TagCursors
  readonly fetchTags: (
    after: string | undefined,
    signal: AbortSignal,
  ) => Promise<{ tags: readonly string[]; more: boolean }>
}

/** What quay gives where nobody asks for a number, and the most that is gathered for one request. */
const defaultCount = 100
const maxCount = 1000
/** Pages of upstream read for one request: an answer may be shorter than asked for, and its Link leads on. */
const maxPages = 20

export const tagsHandler =
  (options: TagsOptions): RouteHandlerMethod =>
  async (request, reply) => {
    const repository = request.repository as Repository
    const identity = identityOf(request)
    const { count, last } = await parseQuery(request, options.cursors)
    if (repository.form === 'image-stream')
      await beforeDeadline(request, mayList(request, repository, options))
    const isVisible = visibility(identity, repository, options.policy)
    const list = await gather({ repository, count, last, isVisible, signal: abortedWith(reply) }, options)
    if (list.next !== undefined) {
      const query = new URLSearchParams({ n: String(count), last: list.next })
      // Relative: clients refuse a Link to another origin, and ours is not ours to know behind a route.
      void reply.header('link', `</v2/${repository.path}/tags/list?${query}>; rel="next"`)
    }
    const body = JSON.stringify({ name: repository.path, tags: list.tags })
    return reply.header('content-type', 'application/json').send(Buffer.from(body))
  }

const mayList = async (
  request: FastifyRequest,
  imageStream: ImageStream,
  { policy, denied }: TagsOptions,
): Promise<void> => {
  const { namespace, name } = imageStream
  const identity = identityOf(request)
  const decision = await policy.decideImageStream(identity, imageStream)
  request.decision = decision
  if (!decision.allowed) throw denied(identity.user.username, `the tags of ${namespace}/${name}`, namespace)
}

/**
 * The monorepo is judged by namespace, which costs a review per namespace and not one per image stream; one image stream's
 * own list is judged as its tags are.
 */
const visibility = (identity: Identity, repository: Repository, policy: Policy) => {
  const decided = new Map<string, Promise<boolean>>()
  const decide = async (imageStream: ImageStream | undefined): Promise<boolean> => {
    const key = imageStream === undefined ? '' : `${imageStream.namespace}/${imageStream.name ?? ''}`
    const known =
      decided.get(key) ?? policy.decideImageStream(identity, imageStream).then(({ allowed }) => allowed)
    decided.set(key, known)
    return await known
  }
  return async (tag: string): Promise<boolean> => {
    if (!isQciTag(tag)) return false
    const owner = tagOwner(tag)
    if (owner.by === 'image-stream')
      return await decide(
        repository.form === 'monorepo' ? { namespace: owner.imageStream.namespace } : owner.imageStream,
      )
    if (!(await decide(undefined))) return false
    return (
      owner.by === 'qci' ||
      (await policy.decide(identity, { kind: 'tag', repository, tag, qciTag: tag, owner })).allowed
    )
  }
}

interface Gathering {
  readonly repository: Repository
  readonly count: number
  readonly last: string | undefined
  readonly isVisible: (tag: string) => Promise<boolean>
  readonly signal: AbortSignal
}

/** Walks upstream's pages from `last` until `count` visible tags, the end of the image stream, or the bound on pages. */
const gather = async (gathering: Gathering, { fetchTags, cursors }: TagsOptions) => {
  const { repository, count, last, signal } = gathering
  const prefix = repository.form === 'monorepo' ? '' : `${repository.namespace}_${repository.name}_`
  const tags: string[] = []
  if (count === 0) return { tags, next: undefined }
  let position = prefix === '' && last === undefined ? undefined : prefix + (last ?? '')
  for (let page = 0; page < maxPages; page++) {
    const { tags: found, more } = await fetchTags(position, signal)
    const end = await take(found, prefix, tags, gathering)
    if (end === 'full') return { tags, next: tags.at(-1) }
    if (end === 'end' || !more) return { tags, next: undefined }
    position = found.at(-1)
    if (tags.length === count) return { tags, next: tags.at(-1) }
  }
  return {
    tags,
    next: position === undefined ? undefined : await cursors.seal(position.slice(prefix.length)),
  }
}

/** Adds the visible ones of a page. `full`: there is one more than was asked for; `end`: the image stream is over. */
const take = async (
  found: readonly string[],
  prefix: string,
  tags: string[],
  { count, isVisible }: Gathering,
) => {
  for (const tag of found) {
    // Upstream sorts by name: the first tag behind the prefix ends the image stream.
    if (!tag.startsWith(prefix) && tag > prefix) return 'end'
    if (tags.length === count) return 'full'
    if (tag.startsWith(prefix) && (await isVisible(tag))) tags.push(tag.slice(prefix.length))
  }
  return 'more'
}

const parseQuery = async (
  request: FastifyRequest,
  cursors: TagCursors,
): Promise<{ count: number; last: string | undefined }> => {
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
  return { count, last: last === undefined || last === '' ? undefined : await cursors.open(last) }
}
