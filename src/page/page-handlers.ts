/**
 * The requests of browsers: the page, the form on it, and its errors. A token is in the body of a POST alone. It is neither kept nor shown
 * again.
 */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from '../oci/errors.ts'
import type { Authenticate } from '../registry/authentication/authentication.ts'
import type { Credential } from '../registry/authentication/credential.ts'
import { beforeDeadline } from '../registry/decision-deadline.ts'
import { trimBlanks } from '../secrets/pasted-text.ts'
import type { PartState } from '../telemetry/part-states.ts'
import type { PaceRefusal } from './access-endpoint.ts'
import type { IsConfidential } from './confidential.ts'
import { pageOf, type PageContent, type PageFrame } from './document.ts'
import type { ExplainImage } from './explain-image.ts'

export interface PageHandlersOptions extends PageFrame {
  readonly authenticate: Authenticate
  readonly explainImage: ExplainImage
  readonly isConfidential: IsConfidential
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
    const { authenticate, explainImage, isConfidential, paceRefusal } = this.#options
    if (!isConfidential(request))
      throw new RegistryError(
        'DENIED',
        'others can read a token on this connection: open the page with https',
      )
    // Attack: a page of another origin that sends forms with tokens, to use up the failed logins of its visitor's address.
    if (!ownSites.has(request.headers['sec-fetch-site'] ?? 'none'))
      throw new RegistryError('DENIED', 'the form was sent by another site')
    const credential = credentialOf(field(request, 'token'))
    const authenticated = await beforeDeadline(request, authenticate(credential, request.client.address))
    request.identity = authenticated.identity
    const result = await explainImage(request, reply, field(request, 'image'))
    if (result.access === 'denied') await paceRefusal(request, 403)
    return await this.#send(request, reply, { result })
  }

  async failed(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const failure = failureOf(error as FastifyError)
    if (failure === undefined) throw error
    request.failure = failure
    await this.#options.paceRefusal(request, failure.status)
    if (request.body === undefined && request.method === 'POST') void reply.header('connection', 'close')
    const retryAfter = failure.headers['retry-after']
    if (retryAfter !== undefined) void reply.header('retry-after', retryAfter)
    return await this.#send(request, reply.code(failure.status), { failure: `${failure.message}.` })
  }

  async #send(
    request: FastifyRequest,
    reply: FastifyReply,
    content: Pick<PageContent, 'result' | 'failure'>,
  ): Promise<FastifyReply> {
    const { isConfidential, parts } = this.#options
    const text = pageOf(this.#options, {
      image: field(request, 'image').slice(0, maxImageLength),
      acceptsToken: isConfidential(request),
      parts: parts(),
      requestId: request.id,
      ...content,
    })
    return await reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(text)
  }
}

/** `none`: typed into the address bar, or a browser that sends no such field. */
const ownSites: ReadonlySet<string> = new Set(['same-origin', 'none'])

/** A field of the form, or of the query for the image; empty unless it is given once. */
const field = ({ body, query }: FastifyRequest, name: 'image' | 'token'): string => {
  const given = (body ?? (name === 'image' ? query : {})) as Readonly<Record<string, unknown>>
  const value = given[name]
  return typeof value === 'string' ? value : ''
}

const credentialOf = (typed: string): Credential => {
  const token = trimBlanks(typed)
  return token === '' ? { kind: 'none' } : { kind: 'bearer', token }
}

/** Undefined for a bug of the proxy. */
const failureOf = (error: FastifyError): RegistryError | undefined => {
  if (error instanceof RegistryError) return error
  const { statusCode = 500, message } = error
  return statusCode < 500
    ? new RegistryError('UNSUPPORTED', `the form cannot be read: ${message}`, { status: 400 })
    : undefined
}
