/**
 * Our rules beside those that are enforced: what they would have said, and what would make them say yes. Never in the way of a
 * pull: an answer that cannot be had is a value too.
 */
import type { Reference } from '../oci/reference.ts'
import type { RequirementsOf } from '../access/requirement.ts'
import type { Identity } from '../access/identity.ts'
import type { Decision, Policy } from '../access/policy.ts'

/** A role that opens images: `image-puller` in their namespace, `qci-wide` in the QCI namespace. */
export type GrantingRole = 'image-puller' | 'qci-wide'

export interface ShadowDecision {
  /** Undefined where the reviews could not be had; `error` says why. */
  readonly decision: Decision | undefined
  readonly error?: unknown
  /** The roles of which either opens the reference; none where a digest has to be seen first. */
  readonly openedBy: readonly GrantingRole[]
}

/**
 * Judgements that wait for a review at a time, each for one. Fewer than the reviews that may be in flight: what is asked for
 * the rules in force finds a place among them, however many ask for what.
 */
const maxWaiting = 32

/** Never rejects. */
export type EvaluateShadow = (identity: Identity, reference: Reference) => Promise<ShadowDecision>

export const createJudgeBeside = (
  policy: Pick<Policy, 'decide'>,
  requirementsOf: RequirementsOf,
): EvaluateShadow => {
  let waiting = 0
  return async (identity, reference) => {
    const openedBy = grantsOf(requirementsOf, reference)
    try {
      if (waiting >= maxWaiting) throw new Error('too many reviews are waited for beside the rules in force')
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

export const grantsOf = (requirementsOf: RequirementsOf, reference: Reference): readonly GrantingRole[] => {
  const { imageStreams, qciWide } = requirementsOf.reference(reference)
  return [
    ...(imageStreams.length === 0 ? [] : ['image-puller' as const]),
    ...(qciWide === false ? [] : ['qci-wide' as const]),
  ]
}
