/**
 * The rule of the predecessor, qci-appci, which `--authorization=audit` enforces: any service account may pull everything, and
 * so may people whom a review lets pull from the QCI namespace.
 */
import type { DoorsOf } from './doors.ts'
import { grantedHere, type Granted } from './granted.ts'
import { kindOf, type Identity } from './identity.ts'
import { decisionOf, firstOpen, robotMay, type Opening } from './opening.ts'
import type { AccessReviews, Policy } from './policy.ts'

export interface PredecessorOptions {
  readonly reviews: AccessReviews
  readonly doorsOf: DoorsOf
  readonly qciNamespace: string
  readonly granted?: Granted
}

const serviceAccountMay: Opening = { rule: 'service-account', source: 'none' }

export const createPredecessorPolicy = (options: PredecessorOptions): Policy => {
  const { reviews, granted = grantedHere(), doorsOf, qciNamespace } = options
  const qciWide = { imageStream: { namespace: qciNamespace }, rule: 'qci-wide' } as const
  const openUnasked = (identity: Identity): Opening | undefined => {
    if (identity.kind === 'robot') return robotMay
    return kindOf(identity) === 'service account' ? serviceAccountMay : undefined
  }
  const open = async (identity: Identity): Promise<Opening> =>
    identity.kind === 'robot'
      ? robotMay
      : (openUnasked(identity) ?? (await firstOpen({ reviews, granted }, identity, [qciWide])))
  return {
    known: (identity, reference) => {
      const opening = openUnasked(identity)
      return opening === undefined ? undefined : decisionOf(opening, doorsOf.reference(reference))
    },
    decide: async (identity, reference) => decisionOf(await open(identity), doorsOf.reference(reference)),
    // Whoever is let in at all may pull everything, seen or not.
    mayList: async (identity) => (await open(identity)).rule !== 'none',
    decideImageStream: async (identity, imageStream) =>
      decisionOf(await open(identity), doorsOf.imageStream(imageStream)),
  }
}
