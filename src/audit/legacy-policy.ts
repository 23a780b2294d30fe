/**
 * The rule of the predecessor, qci-appci, which `--authorization=audit` enforces: any service account may pull everything, and
 * so may people whom a review lets pull from the QCI namespace.
 */
import type { RequirementsOf } from '../access/requirement.ts'
import { localGrants, type RememberedGrants } from '../access/remembered-grants.ts'
import type { Identity } from '../access/identity.ts'
import { decisionOf, firstGrant, robotGrant, type Grant } from '../access/grant.ts'
import type { AccessReviews, Policy } from '../access/policy.ts'

export interface LegacyPolicyOptions {
  readonly reviews: AccessReviews
  readonly requirementsOf: RequirementsOf
  readonly qciNamespace: string
  readonly rememberedGrants?: RememberedGrants
}

const serviceAccountMay: Grant = { rule: 'service-account', source: 'none' }

export const createPredecessorPolicy = (options: LegacyPolicyOptions): Policy => {
  const { reviews, rememberedGrants = localGrants(), requirementsOf, qciNamespace } = options
  const qciWide = { imageStream: { namespace: qciNamespace }, rule: 'qci-wide' } as const
  const openUnasked = (identity: Identity): Grant | undefined => {
    if (identity.kind === 'robot') return robotGrant
    return identity.kind === 'service-account' ? serviceAccountMay : undefined
  }
  const open = async (identity: Identity): Promise<Grant> =>
    identity.kind === 'robot'
      ? robotGrant
      : (openUnasked(identity) ?? (await firstGrant({ reviews, rememberedGrants }, identity, [qciWide])))
  return {
    known: (identity, reference) => {
      const grant = openUnasked(identity)
      return grant === undefined ? undefined : decisionOf(grant, requirementsOf.reference(reference))
    },
    decide: async (identity, reference) =>
      decisionOf(await open(identity), requirementsOf.reference(reference)),
    // Whoever is let in at all may pull everything, seen or not.
    mayList: async (identity) => (await open(identity)).rule !== 'none',
    decideImageStream: async (identity, imageStream) =>
      decisionOf(await open(identity), requirementsOf.imageStream(imageStream)),
  }
}
