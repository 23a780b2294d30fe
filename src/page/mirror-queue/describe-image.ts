/**
 * Whether the mirror is about to bring an image, for an explanation. Told to those who may pull the tag, and to those who may look at it in
 * the mirror. To all others, an image that the mirror has looks like one that it does not have.
 */
import type { FastifyRequest } from 'fastify'
import type { Explanation } from '../../explain/explanation.ts'
import { RegistryError } from '../../oci/errors.ts'
import { printableAscii } from '../../oci/printable.ts'
import type { Reference } from '../../oci/reference.ts'
import { tagPrefixOf } from '../../oci/reference.ts'
import { beforeDeadline } from '../../registry/decision-deadline.ts'
import { identityOf } from '../../registry/request-context.ts'
import { requesterOf } from '../../registry/requester.ts'
import { imageIn } from './mirror-answer.ts'
import type { MirrorOrigin } from './mirror-origin.ts'
import { apiPathOf, isMirrorTarget } from './mirror-paths.ts'
import type { MirrorRights } from './mirror-rights.ts'

/** @returns undefined for an image that the mirror does not have, and for a requester who may not know */
export type DescribeImage = (
  request: FastifyRequest,
  reference: Reference,
  mayPull: boolean,
) => Promise<Explanation['mirror']>

/** Characters of the sentence. */
const maxText = 500

export const createDescribeImage =
  ({
    mirror,
    rights,
  }: {
    readonly mirror: Pick<MirrorOrigin, 'get'>
    readonly rights: MirrorRights
  }): DescribeImage =>
  async (request, reference, mayPull) => {
    const target = targetOf(reference)
    if (target === undefined || (!mayPull && !(await mayLook(request, rights, target)))) return undefined
    try {
      const answer = await mirror.get(requesterOf(request), apiPathOf(target, false))
      const { state, explanation } = imageIn(answer, target, false)
      return { state: shortened(state), explanation: shortened(explanation) }
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      return error.code === 'NAME_UNKNOWN'
        ? undefined
        : { state: 'unknown', explanation: `${error.message}.` }
    }
  }

const shortened = (text: string): string => printableAscii(text.slice(0, maxText))

/** An answer that the API server does not give opens nothing here, either. */
const mayLook = async (request: FastifyRequest, rights: MirrorRights, target: string): Promise<boolean> => {
  try {
    await beforeDeadline(request, rights.require(identityOf(request), 'get', target))
    return true
  } catch (error) {
    if (error instanceof RegistryError) return false
    throw error
  }
}

/** The name of a tag in the configuration of the mirror; undefined where it has none, or more than one. */
const targetOf = (reference: Reference): string | undefined => {
  if (reference.kind === 'digest' || reference.owner.by !== 'image-stream') return undefined
  const { repository, qciTag, owner } = reference
  const { namespace, name } = repository.form === 'image-stream' ? repository : owner.imageStream
  if (name === undefined) return undefined
  const prefix = tagPrefixOf({ namespace, name })
  const target = `${namespace}/${name}:${qciTag.slice(prefix.length)}`
  return qciTag.startsWith(prefix) && isMirrorTarget(target) ? target : undefined
}
