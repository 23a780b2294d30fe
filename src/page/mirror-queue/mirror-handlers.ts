/**
 * Handles the requests below `/mirrors`. Programs get JSON, browsers get a page. Both need the same rights.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { identityOf } from '../../registry/request-context.ts'
import { mirrorPaths } from '../../registry/route-paths.ts'
import { beforeDeadline } from '../../registry/decision-deadline.ts'
import type { PaceRefusal } from '../access-endpoint.ts'
import { formField, logInByForm, type FormLoginOptions } from '../form-login.ts'
import type { FrameOptions } from '../frame.ts'
import { beginFailure } from '../page-failure.ts'
import { imageIn, queueIn, type MirroredImage, type MirrorQueue } from './mirror-answer.ts'
import type { MirrorOrigin } from './mirror-origin.ts'
import { apiPath, apiPathOf, parseMirrorPath, parseMirrorTarget } from './mirror-paths.ts'
import { mirrorQueryOf } from './mirror-query.ts'
import type { MirrorRights } from './mirror-rights.ts'
import { filterNames, mirrorsPageOf, type FilterName, type MirrorsContent } from './mirrors-document.ts'

export interface MirrorHandlersOptions extends FrameOptions, FormLoginOptions {
  readonly mirror: Pick<MirrorOrigin, 'passOn'>
  readonly rights: MirrorRights
  readonly paceRefusal: PaceRefusal
  /** Called before a sync, if the requester has the right to it. */
  readonly observeSync: (request: FastifyRequest, target: string) => void
}

/**
 * Whether it is about `/mirrors` itself. Attack: the router decodes a path before it compares it, so `/%6Dirrors` is `/mirrors` as well. Code
 * that reads the URL again would see another path.
 */
export const isOfList = ({ routeOptions }: FastifyRequest): boolean => routeOptions.url === mirrorPaths.list

/** The path below `/mirrors/`, decoded. */
export const imagePathOf = ({ params }: FastifyRequest): string => (params as { readonly '*': string })['*']

type Result = Pick<MirrorsContent, 'queue' | 'image' | 'isSynced' | 'failure'>

/** Longer fields are cut to so many characters when they are shown again. */
const maxFieldLength = 700

export class MirrorHandlers {
  readonly #options: MirrorHandlersOptions

  constructor(options: MirrorHandlersOptions) {
    this.#options = options
  }

  async list(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const queue = await this.#queue(request, reply, request.query as Readonly<Record<string, unknown>>)
    return sendJson(reply.code(200), queue)
  }

  async image(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { target } = parseMirrorPath(imagePathOf(request))
    return sendJson(reply.code(200), await this.#image(request, reply, target))
  }

  async sync(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { target } = parseMirrorPath(imagePathOf(request))
    return sendJson(reply.code(202), await this.#sync(request, reply, target))
  }

  /** The page with only the form. The query fills in its fields. */
  async form(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const target = isOfList(request) ? undefined : parseMirrorPath(imagePathOf(request)).target
    return this.#sendPage(request, reply, {}, target)
  }

  /** Answers the form of a browser. */
  async submit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    await logInByForm(request, this.#options)
    const result = await this.#resultOf(request, reply)
    return this.#sendPage(request, reply.code(200), result)
  }

  async failed(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const failure = await beginFailure(error, request, reply, this.#options.paceRefusal)
    return this.#sendPage(request, reply, { failure })
  }

  async #resultOf(request: FastifyRequest, reply: FastifyReply): Promise<Result> {
    const synced = formField(request, 'sync')
    if (synced !== '')
      return { image: await this.#sync(request, reply, parseMirrorTarget(synced)), isSynced: true }
    const target = formField(request, 'target').trim()
    if (target !== '') return { image: await this.#image(request, reply, parseMirrorTarget(target)) }
    const filters = Object.fromEntries(
      filterNames.map((name) => [name, formField(request, name).trim()] as const),
    )
    return { queue: await this.#queue(request, reply, filters) }
  }

  async #queue(
    request: FastifyRequest,
    reply: FastifyReply,
    filters: Readonly<Record<string, unknown>>,
  ): Promise<MirrorQueue> {
    const query = mirrorQueryOf(filters)
    await this.#require(request, 'get')
    return queueIn(await this.#options.mirror.passOn(request, reply, { method: 'GET', path: apiPath, query }))
  }

  async #image(request: FastifyRequest, reply: FastifyReply, target: string): Promise<MirroredImage> {
    const isWhole = await this.#require(request, 'get', target)
    const path = apiPathOf(target, false)
    return imageIn(
      await this.#options.mirror.passOn(request, reply, { method: 'GET', path }),
      target,
      isWhole,
    )
  }

  async #sync(request: FastifyRequest, reply: FastifyReply, target: string): Promise<MirroredImage> {
    const isWhole = await this.#require(request, 'post', target)
    this.#options.observeSync(request, target)
    const path = apiPathOf(target, true)
    return imageIn(
      await this.#options.mirror.passOn(request, reply, { method: 'POST', path }),
      target,
      isWhole,
    )
  }

  async #require(request: FastifyRequest, verb: 'get' | 'post', target?: string): Promise<boolean> {
    return await beforeDeadline(request, this.#options.rights.require(identityOf(request), verb, target))
  }

  #sendPage(
    request: FastifyRequest,
    reply: FastifyReply,
    result: Result,
    target = formField(request, 'target'),
  ): FastifyReply {
    const fieldOf = (name: FilterName) => (name === 'target' ? target : formField(request, name))
    const fields = Object.fromEntries(
      filterNames.map((name) => [name, fieldOf(name).slice(0, maxFieldLength)]),
    ) as Record<FilterName, string>
    const text = mirrorsPageOf(this.#options, {
      fields,
      acceptsToken: this.#options.isConfidential(request),
      requestId: request.id,
      ...result,
    })
    return reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(text)
  }
}

/** A Buffer, because the framework would change the content type of a text. */
const sendJson = (reply: FastifyReply, value: object): FastifyReply =>
  reply
    .headers({ 'content-type': 'application/json', 'cache-control': 'no-store' })
    .send(Buffer.from(`${JSON.stringify(value)}\n`))
