/**
 * The rules in force, held against the rules beside them.
 */
import type { ShadowDecision } from './shadow.ts'
import type { Decision } from '../access/policy.ts'

/** `loss`: served now and not then. `gain`: refused now and not then. `undecided`: nobody could say. */
export const differences = ['loss', 'gain', 'undecided'] as const
export type Difference = (typeof differences)[number]

/** @param status what was answered: an image that is not there, or could not be had, is nobody's loss */
export const differenceOf = (
  enforced: Decision,
  { decision: ours }: ShadowDecision,
  status: number,
): Difference | undefined => {
  if (enforced.allowed && status >= 400) return undefined
  if (ours === undefined) return 'undecided'
  if (ours.allowed === enforced.allowed) return undefined
  return enforced.allowed ? 'loss' : 'gain'
}
