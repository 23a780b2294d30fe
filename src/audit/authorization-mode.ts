/**
 * Which rules are in force, and which are only asked beside them: `enforce` is ours alone, `audit` the predecessor's with ours
 * beside it.
 */
import type { LookFurther } from '../digests/look-further.ts'
import { createJudgeBeside, type EvaluateShadow } from './shadow.ts'
import { createRequirements, type RequirementsOptions } from '../access/requirement.ts'
import type { RememberedGrants } from '../access/remembered-grants.ts'
import { createPolicy, type AccessReviews, type Policy } from '../access/policy.ts'
import { createLegacyPolicy } from './legacy-policy.ts'

export interface AuthorizationModeOptions extends RequirementsOptions {
  readonly authorization: 'enforce' | 'audit'
  readonly reviews: AccessReviews
  readonly qciNamespace: string
  readonly lookFurther?: LookFurther | undefined
  readonly rememberedGrants?: RememberedGrants
}

export interface AuthorizationMode {
  readonly policy: Policy
  readonly evaluateShadow: EvaluateShadow | undefined
}

export const createAuthorizationMode = (options: AuthorizationModeOptions): AuthorizationMode => {
  const requirementsOf = createRequirements(options)
  const listedRequirementsOf = createRequirements({ ...options, unknownDigests: 'deny' })
  const ours = createPolicy({ ...options, requirementsOf, listedRequirementsOf })
  return options.authorization === 'enforce'
    ? { policy: ours, evaluateShadow: undefined }
    : {
        policy: createLegacyPolicy({ ...options, requirementsOf }),
        evaluateShadow: createJudgeBeside(ours, requirementsOf),
      }
}
