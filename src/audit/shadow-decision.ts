/**
 * The shadow decision: the decision by the rules of `enforce`, and the roles that would open the image.
 */
import type { Reference } from '../oci/reference.ts'
import type { RequirementsOf } from '../access/requirement.ts'
import type { Identity } from '../access/identity.ts'
import type { Decision, Policy } from '../access/policy.ts'

/** A role that opens images: `image-puller` in their namespace, `qci-wide` in the QCI namespace. */
export type GrantingRole = 'image-puller' | 'qci-wide'

export interface ShadowDecision {
  /** Undefined if the reviews failed; `error` says why. */
  readonly decision: Decision | undefined
  readonly error?: unknown
  /** Each of these roles opens the reference by itself. Empty for a digest that no known tag reaches. */
  readonly openedBy: readonly GrantingRole[]
}

/** Never rejects. */
export type EvaluateShadow = (identity: Identity, reference: Reference) => Promise<ShadowDecision>

/**
 * Shadow decisions that wait for a review at a time. Attack: shadow decisions that fill the review queue. This bound is lower than that
 * of the reviews in flight, so the enforced rule always finds room.
 */
const maxWaiting = 32

export const createShadow = (
  policy: Pick<Policy, 'decide'>,
  requirementsOf: RequirementsOf,
): EvaluateShadow => {
  let waiting = 0
  return async (identity, reference) => {
    const openedBy = openingRoles(requirementsOf, reference)
    try {
      if (waiting >= maxWaiting) throw new Error(`more than ${maxWaiting} shadow decisions wait for a review`)
      waiting++
      try {
        return { decision: await policy.decide(identity, reference), openedBy }
      } finally {
        waiting--
      }
    } catch (error) {
      return { decision: undefined, error, openedBy }
    }
  }
}

const openingRoles = (requirementsOf: RequirementsOf, reference: Reference): readonly GrantingRole[] => {
  const { imageStreams, qciWide } = requirementsOf.reference(reference)
  return [
    ...(imageStreams.length === 0 ? [] : ['image-puller' as const]),
    ...(qciWide === false ? [] : ['qci-wide' as const]),
  ]
}
