/**
 * GET /access?image=...: an explanation as JSON, for the requester's own credential. Errors are those of the registry.
 */
import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { RegistryError } from '../oci/errors.ts'
import type { ExplainImage } from './explain-image.ts'

export interface AccessEndpointOptions {
  readonly explainImage: ExplainImage
  /** Resolves at once, or late for a requester with many refusals. */
  readonly paceRefusal: PaceRefusal
}

/** @param status of the response, or that of the same pull */
export type PaceRefusal = (request: FastifyRequest, status: number) => Promise<void>

export const accessHandler =
  ({ explainImage, paceRefusal }: AccessEndpointOptions): RouteHandlerMethod =>
  async (request, reply) => {
    const { image } = request.query as { readonly image?: unknown }
    if (typeof image !== 'string')
      throw new RegistryError('NAME_INVALID', 'give the image once: /access?image=ocp/4.5:base')
    const explanation = await explainImage(request, reply, image)
    // A pull would be refused with 403. This answer counts as a refusal as well; otherwise it would be a cheaper way to guess names.
    if (explanation.access === 'denied') await paceRefusal(request, 403)
    return await sendJson(reply, { requestId: request.id, ...explanation })
  }

/** A Buffer, because the framework would change the content type of a text. */
const sendJson = async (reply: FastifyReply, value: object): Promise<FastifyReply> =>
  await reply
    .headers({ 'content-type': 'application/json', 'cache-control': 'no-store' })
    .send(Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`))
