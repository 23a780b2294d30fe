/**
 * The enforced decision compared with the shadow decision.
 */
import type { ShadowDecision } from './shadow-decision.ts'
import type { Decision } from '../access/policy.ts'

/** `loss`: allowed now and refused by `enforce`. `gain`: the reverse. `undecided`: the reviews of the shadow decision failed. */
export const differences = ['loss', 'gain', 'undecided'] as const
export type Difference = (typeof differences)[number]

export const differenceOf = (
  enforced: Decision,
  { decision: shadow }: ShadowDecision,
): Difference | undefined => {
  if (shadow === undefined) return 'undecided'
  if (shadow.allowed === enforced.allowed) return undefined
  return enforced.allowed ? 'loss' : 'gain'
}
