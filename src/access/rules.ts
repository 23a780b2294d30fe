/**
 * Which rules are in force, and which are only asked beside them: `enforce` is ours alone, `audit` the predecessor's with ours
 * beside it.
 */
import type { LookFurther } from '../digests/look-further.ts'
import { createJudgeBeside, type JudgeBeside } from './beside.ts'
import { createDoors, type DoorsOptions } from './doors.ts'
import type { Granted } from './granted.ts'
import { createPolicy, type AccessReviews, type Policy } from './policy.ts'
import { createPredecessorPolicy } from './predecessor.ts'

export interface RulesOptions extends DoorsOptions {
  readonly authorization: 'enforce' | 'audit'
  readonly reviews: AccessReviews
  readonly qciNamespace: string
  readonly lookFurther?: LookFurther | undefined
  readonly granted?: Granted
}

export interface Rules {
  readonly policy: Policy
  readonly judgeBeside: JudgeBeside | undefined
}

export const createRules = (options: RulesOptions): Rules => {
  const doorsOf = createDoors(options)
  const listedDoorsOf = createDoors({ ...options, unknownDigests: 'deny' })
  const ours = createPolicy({ ...options, doorsOf, listedDoorsOf })
  return options.authorization === 'enforce'
    ? { policy: ours, judgeBeside: undefined }
    : {
        policy: createPredecessorPolicy({ ...options, doorsOf }),
        judgeBeside: createJudgeBeside(ours, doorsOf),
      }
}
