/**
 * The requests of browsers: the page, the form on it, and its errors. A token is in the body of a POST alone. It is neither kept nor shown
 * again.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { PartState } from '../telemetry/part-states.ts'
import type { PaceRefusal } from './access-endpoint.ts'
import { pageOf, type PageContent, type PageFrame } from './document.ts'
import type { ExplainImage } from './explain-image.ts'
import { formField, logInByForm, type FormLoginOptions } from './form-login.ts'
import { beginFailure } from './page-failure.ts'

export interface PageHandlersOptions extends PageFrame, FormLoginOptions {
  readonly explainImage: ExplainImage
  readonly paceRefusal: PaceRefusal
  readonly parts: () => readonly PartState[]
}

/** Characters of an image in the form. */
const maxImageLength = 700

export class PageHandlers {
  readonly #options: PageHandlersOptions

  constructor(options: PageHandlersOptions) {
    this.#options = options
  }

  /** `/?image=ocp/4.5:base` fills in the form: for links. */
  async show(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    return await this.#send(request, reply, {})
  }

  async explain(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { explainImage, paceRefusal } = this.#options
    await logInByForm(request, this.#options)
    const result = await explainImage(request, reply, formField(request, 'image'))
    if (result.access === 'denied') await paceRefusal(request, 403)
    return await this.#send(request, reply, { result })
  }

  async failed(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const failure = await beginFailure(error, request, reply, this.#options.paceRefusal)
    return await this.#send(request, reply, { failure })
  }

  async #send(
    request: FastifyRequest,
    reply: FastifyReply,
    content: Pick<PageContent, 'result' | 'failure'>,
  ): Promise<FastifyReply> {
    const { isConfidential, parts } = this.#options
    const text = pageOf(this.#options, {
      image: formField(request, 'image').slice(0, maxImageLength),
      acceptsToken: isConfidential(request),
      parts: parts(),
      requestId: request.id,
      ...content,
    })
    return await reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(text)
  }
}
