/**
 * The words of an explanation: the reason, and the one next step.
 */
import type { FastifyRequest } from 'fastify'
import type { Decision } from '../access/decision.ts'
import type { Explanation, ReviewResult } from '../explain/explanation.ts'
import type { GrantAdvice } from '../explain/grant-advice.ts'
import type { RegistryError } from '../oci/errors.ts'
import type { Reference } from '../oci/reference.ts'
import type { LoginAdvice } from '../registry/authentication/login-advice.ts'
import { limitingScopes } from '../registry/denial.ts'
import { identityOf } from '../registry/request-context.ts'
import type { Found } from './find-in-qci.ts'

export interface VerdictOptions {
  readonly isRestricted: (namespace: string) => boolean
  readonly qciNamespace: string
  /** The rule of `--authorization=audit` decides, which has other reviews. */
  readonly isAudit: boolean
  readonly grantAdvice: GrantAdvice
  readonly loginAdvice: LoginAdvice
}

export type Base = Pick<Explanation, 'image' | 'pullSpec' | 'reading'> &
  Required<Pick<Explanation, 'identity'>>

export const allowed = (
  base: Base,
  request: FastifyRequest,
  { reference, found }: { readonly reference: Reference; readonly found: Found },
): Explanation => {
  // The authorization that allowed it has set it.
  const decision = request.decision as Decision
  const may = `You may pull it: ${becauseOf(decision, base)}`
  const shared = {
    ...base,
    access: 'allowed',
    rule: decision.rule,
    reviews: grantingReview(decision, reference),
    inQci: found.inQci,
  } as const
  if (found.inQci === 'yes')
    return { ...shared, digest: found.digest, reason: `${may}.`, next: `podman pull ${base.pullSpec}` }
  if (found.inQci === 'unknown')
    return {
      ...shared,
      reason: `${may}. Whether QCI has it is not known now: ${found.failure}.`,
      next: `podman pull ${base.pullSpec}, or try again in a moment`,
    }
  return { ...shared, reason: `${may}. But ${found.failure}.`, next: found.advice ?? lookAtTags(base) }
}

/** @param refusal the error that a pull ends with */
export const denied = (
  base: Base,
  request: FastifyRequest,
  {
    reference,
    refusal,
    isNamespaceOpen,
    ...options
  }: VerdictOptions & {
    readonly reference: Reference
    readonly refusal: RegistryError
    /** Whether the requester may pull from the namespace of a digest; undefined for a tag. */
    readonly isNamespaceOpen: boolean | undefined
  },
): Explanation => {
  if (refusal.code !== 'DENIED')
    return {
      ...base,
      access: 'allowed',
      reviews: [],
      inQci: 'no',
      reason: sentence(refusal.message),
      next: 'go on without it: nothing is attached to this image that you may pull',
    }
  const isByDigest = base.reading.digest !== undefined
  return {
    ...base,
    access: 'denied',
    reviews: isByDigest || options.isAudit ? [] : refusedReviews(reference, options),
    reason: sentence(refusal.message),
    next:
      isByDigest && isNamespaceOpen !== false
        ? 'pull an image that has this digest by its tag, then try again'
        : grantStep(base, options, limitingScopes(identityOf(request)) !== undefined),
  }
}

/** A tag without an owner leads to an image that the requester may not pull. */
export const deniedByItsDigest = (base: Base, { message }: RegistryError): Explanation => ({
  ...base,
  access: 'denied',
  reviews: [],
  reason: sentence(message),
  next: 'pull the image by the tag of its namespace',
})

export const undecided = (base: Base, failure: string): Explanation => ({
  ...base,
  access: 'unknown',
  reviews: [],
  inQci: 'unknown',
  reason: `The image behind this tag decides, and it is not known now: ${failure}.`,
  next: 'try again in a moment',
})

const becauseOf = ({ rule, grantedBy }: Decision, { identity: { username } }: Base): string => {
  if (rule === 'robot') return `${username} is the robot that reads all of QCI`
  if (rule === 'service-account') return 'the proxy audits, and lets every service account pull'
  return rule === 'qci-wide'
    ? 'you have QCI-wide access, which opens every namespace that is not restricted'
    : `you have system:image-puller in namespace ${grantedBy}`
}

const grantingReview = ({ rule, grantedBy }: Decision, reference: Reference): readonly ReviewResult[] => {
  if (grantedBy === undefined) return []
  if (rule === 'qci-wide') return [{ role: 'qci-image-puller', namespace: grantedBy, answer: 'yes' }]
  return [{ role: 'system:image-puller', namespace: grantedBy, ...nameIn(reference), answer: 'yes' }]
}

/** All of them: each yes would have allowed it. */
const refusedReviews = (
  reference: Reference,
  { isRestricted, qciNamespace }: VerdictOptions,
): readonly ReviewResult[] => {
  const namespace = namespaceIn(reference)
  return [
    ...(namespace !== undefined && isRestricted(namespace)
      ? []
      : [{ role: 'qci-image-puller', namespace: qciNamespace, answer: 'no' } as const]),
    ...(namespace === undefined
      ? []
      : [{ role: 'system:image-puller', namespace, ...nameIn(reference), answer: 'no' } as const]),
  ]
}

const namespaceIn = (reference: Reference): string | undefined =>
  reference.kind === 'tag' && reference.owner.by === 'image-stream'
    ? reference.owner.imageStream.namespace
    : undefined

const nameIn = (reference: Reference): { readonly name?: string } => {
  if (reference.kind === 'digest' || reference.owner.by !== 'image-stream') return {}
  const { name } = reference.owner.imageStream
  return name === undefined ? {} : { name }
}

const grantStep = (
  { identity, reading: { namespace } }: Base,
  { grantAdvice, loginAdvice, isRestricted }: VerdictOptions,
  hasScopes: boolean,
): string =>
  hasScopes
    ? loginAdvice.again
    : grantAdvice({
        username: identity.username,
        namespace,
        isRestricted: namespace !== undefined && isRestricted(namespace),
      })

const lookAtTags = ({ pullSpec, reading: { imageStream, digest } }: Base): string => {
  if (digest !== undefined) return 'pull the image by its tag'
  const [host] = pullSpec.split('/')
  return imageStream === undefined
    ? 'check the spelling of the tag'
    : `find the tag: skopeo list-tags docker://${host}/${imageStream}`
}

/** Messages begin with a name, which keeps its letters. */
const sentence = (message: string): string => `${message}.`
