/**
 * The state of an image in the mirror, for an explanation. Only requesters that may pull the tag, or see the image in the mirror, get it.
 * For all others, the answer is the same whether the mirror has the image or not.
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

/** @returns undefined if the mirror does not have the image, or the requester may not know that */
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

/** If the API server does not answer, the requester may not see the image. */
const mayLook = async (request: FastifyRequest, rights: MirrorRights, target: string): Promise<boolean> => {
  try {
    await beforeDeadline(request, rights.require(identityOf(request), 'get', target))
    return true
  } catch (error) {
    if (error instanceof RegistryError) return false
    throw error
  }
}

/** The name of a tag in the configuration of the mirror; undefined if the tag has no such name, or more than one. */
const targetOf = (reference: Reference): string | undefined => {
  if (reference.kind === 'digest' || reference.owner.by !== 'image-stream') return undefined
  const { repository, qciTag, owner } = reference
  const { namespace, name } = repository.form === 'image-stream' ? repository : owner.imageStream
  if (name === undefined) return undefined
  const prefix = tagPrefixOf({ namespace, name })
  const target = `${namespace}/${name}:${qciTag.slice(prefix.length)}`
  return qciTag.startsWith(prefix) && isMirrorTarget(target) ? target : undefined
}
