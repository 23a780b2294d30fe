/**
 * GET /v2/<name>/tags/list (end-8a, end-8b): only the tags that the asker may pull.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
 */
import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { Policy } from '../access/policy.ts'
import { RegistryError } from '../errors.ts'
import type { ImageStream, Repository } from '../reference.ts'
import { abortedWith } from './abort.ts'
import { askerOf } from './asker.ts'
import { identityOf } from './authorization.ts'
import { beforeDeadline } from './deadline.ts'
import type { TagCursors } from './tag-cursors.ts'
import { createVisibility } from './tag-visibility.ts'
import { walkTags } from './tag-walk.ts'
import type { Denied } from './denied.ts'

export interface TagsOptions {
  readonly policy: Policy
  readonly denied: Denied
  readonly cursors: TagCursors
  readonly fetchTags: (request: {
    after: string | undefined
    asker: string
    signal: AbortSignal
  }) => Promise<{ tags: readonly string[]; more: boolean }>
}

/** What quay gives where nobody asks for a number, and the most that is gathered for one request. */
const defaultCount = 100
const maxCount = 1000

export const tagsHandler =
  (options: TagsOptions): RouteHandlerMethod =>
  async (request, reply) => {
    const repository = request.repository as Repository
    const identity = identityOf(request)
    const { count, last } = await parseQuery(request, options.cursors)
    if (repository.form === 'image-stream')
      await beforeDeadline(request, mayList(request, repository, options))
    const signal = abortedWith(reply)
    const asker = askerOf(request)
    const prefix = repository.form === 'monorepo' ? '' : `${repository.namespace}_${repository.name}_`
    const list = await walkTags({
      fetchTags: async (after) => await options.fetchTags({ after, asker, signal }),
      visibility: createVisibility(identity, repository, options.policy),
      prefix,
      count,
      after: last === undefined ? undefined : prefix + last,
    })
    if (list.stands !== undefined) {
      const { after, isVisible } = list.stands
      const query = new URLSearchParams({
        n: String(count),
        last: isVisible ? after : await options.cursors.seal(after),
      })
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
