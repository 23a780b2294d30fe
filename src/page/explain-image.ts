/**
 * Explains one image to one requester, with the decision and the errors of a pull. It reveals nothing that a pull does not reveal: if the
 * requester may not pull an image, the answer is the same whether the image exists or not.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Explanation } from '../explain/explanation.ts'
import { readImage, readingOf, type ReadImage } from '../explain/read-image.ts'
import { RegistryError } from '../oci/errors.ts'
import { quoteName } from '../oci/quote-name.ts'
import { beforeDeadline } from '../registry/decision-deadline.ts'
import { createAuthorize, createAuthorizeDigest, mayPullFromNamed } from '../registry/authorization.ts'
import { identityOf } from '../registry/request-context.ts'
import { allowed, denied, deniedByItsDigest, undecided, type Base, type VerdictOptions } from './verdicts.ts'
import { findInQci, type FindInQciOptions } from './find-in-qci.ts'
import type { DescribeImage } from './mirror-queue/describe-image.ts'

export interface ExplainImageOptions extends FindInQciOptions, VerdictOptions {
  /** Undefined without a mirror. */
  readonly describeImage?: DescribeImage | undefined
}

/**
 * Call this after authentication: it explains for `request.identity`.
 * @throws {RegistryError} NAME_INVALID if the text is not an image of QCI; and the errors of a pull: UNAUTHORIZED, UNAVAILABLE,
 *   TOOMANYREQUESTS
 */
export type ExplainImage = (
  request: FastifyRequest,
  reply: FastifyReply,
  image: string,
) => Promise<Explanation>

export const createExplainImage = (options: ExplainImageOptions): ExplainImage => {
  const authorize = createAuthorize(options)
  const authorizeDigest = createAuthorizeDigest(options)
  const explain = async (request: FastifyRequest, reply: FastifyReply, read: ReadImage, base: Base) => {
    const { reference } = read
    const refusal = await denialOf(async () => await authorize(request, reference))
    if (refusal !== undefined) {
      const named = mayPullFromNamed(options.policy, identityOf(request), reference)
      const isNamespaceOpen = await beforeDeadline(request, named)
      return denied(base, request, { ...options, reference, refusal, isNamespaceOpen })
    }
    const found = await findInQci(request, reply, reference, options)
    // The digest of a tag of no image stream decides, as in a pull.
    if (reference.kind === 'tag' && reference.owner.by !== 'image-stream') {
      if (found.inQci === 'unknown') return undecided(base, found.failure)
      const ofDigest =
        found.inQci === 'yes'
          ? await denialOf(async () => await authorizeDigest(request, found.digest))
          : undefined
      if (ofDigest?.code === 'DENIED') return deniedByItsDigest(base, ofDigest)
      if (ofDigest !== undefined)
        return denied(base, request, { ...options, reference, refusal: ofDigest, isNamespaceOpen: true })
    }
    return allowed(base, request, { reference, found })
  }
  return async (request, reply, image) => {
    const read = readImage(image, options)
    const explanation = await explain(request, reply, read, baseOf(request, image, read, options))
    const mayPull = explanation.access === 'allowed'
    const mirror = await options.describeImage?.(request, read.reference, mayPull)
    return mirror === undefined ? explanation : withMirror(explanation, mirror)
  }
}

/** States that need no person: the mirror continues by itself. */
const pending: ReadonlySet<string> = new Set(['not compared yet', 'waiting', 'copying', 'backing off'])

const withMirror = (explanation: Explanation, mirror: NonNullable<Explanation['mirror']>): Explanation => ({
  ...explanation,
  mirror,
  ...(explanation.access === 'allowed' && explanation.inQci === 'no' && pending.has(mirror.state)
    ? { next: 'wait: the mirror brings the image; try again in a minute' }
    : {}),
})

/** Undefined if the pull is allowed. Errors that do not answer the question are thrown. */
const denialOf = async (authorize: () => Promise<void>): Promise<RegistryError | undefined> => {
  try {
    await authorize()
    return undefined
  } catch (error) {
    if (error instanceof RegistryError && answers.has(error.code)) return error
    throw error
  }
}

/** A tag that stands for a digest without an image that the requester may pull is answered as a missing one. */
const answers: ReadonlySet<string> = new Set(['DENIED', 'MANIFEST_UNKNOWN'])

const baseOf = (
  request: FastifyRequest,
  image: string,
  { pullSpec, reference }: ReadImage,
  { isRestricted }: ExplainImageOptions,
): Base => {
  const { kind, user } = identityOf(request)
  return {
    image: quoteName(image.trim()).slice(1, -1),
    pullSpec,
    identity: { username: user.username, kind },
    reading: readingOf(reference, isRestricted),
  }
}
