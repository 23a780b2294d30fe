/**
 * The rule of qci-appci, which `--authorization=audit` enforces: every service account may pull every image, and so may people who may pull
 * from the QCI namespace.
 */
import type { RequirementsOf } from '../access/requirement.ts'
import { localGrants, type RecentGrants } from '../access/recent-grants.ts'
import type { Identity } from '../access/identity.ts'
import { cachedGrant, decisionOf, reviewedGrant, robotGrant, type Grant } from '../access/grant.ts'
import type { AccessReviews, Policy } from '../access/policy.ts'

export interface LegacyPolicyOptions {
  readonly reviews: AccessReviews
  readonly requirementsOf: RequirementsOf
  readonly qciNamespace: string
  readonly recentGrants?: RecentGrants
}

const serviceAccountMay: Grant = { rule: 'service-account', source: 'none' }

export const createLegacyPolicy = (options: LegacyPolicyOptions): Policy => {
  const { reviews, recentGrants = localGrants(), requirementsOf, qciNamespace } = options
  const qciWide = { imageStream: { namespace: qciNamespace }, rule: 'qci-wide' } as const
  const open = (identity: Identity): Grant | Promise<Grant> => {
    if (identity.kind === 'robot') return robotGrant
    if (identity.kind === 'service-account') return serviceAccountMay
    return (
      cachedGrant(reviews.peek, identity, [qciWide]) ??
      reviewedGrant({ reviews, recentGrants }, identity, [qciWide])
    )
  }
  return {
    decide: (identity, reference) => {
      const requirement = requirementsOf.reference(reference)
      const grant = open(identity)
      return grant instanceof Promise
        ? grant.then((reviewed) => decisionOf(reviewed, requirement))
        : decisionOf(grant, requirement)
    },
    // With any access, the requester may list and pull every image.
    mayList: async (identity) => (await open(identity)).rule !== 'none',
    decideImageStream: async (identity, imageStream) =>
      decisionOf(await open(identity), requirementsOf.imageStream(imageStream)),
  }
}
