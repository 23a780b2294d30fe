/**
 * The rule of the predecessor, qci-appci, which `--authorization=audit` enforces: any service account may pull everything, and
 * so may people whom a review lets pull from the QCI namespace.
 */
import type { DoorsOf } from './doors.ts'
import { kindOf, type Identity } from './identity.ts'
import { decisionOf, firstOpen, robotMay, type AccessReviews, type Opening, type Policy } from './policy.ts'

export interface PredecessorOptions {
  readonly reviews: AccessReviews
  readonly doorsOf: DoorsOf
  readonly qciNamespace: string
}

const serviceAccountMay: Opening = { rule: 'service-account', source: 'none' }

export const createPredecessorPolicy = (options: PredecessorOptions): Policy => {
  const { reviews, doorsOf, qciNamespace } = options
  const open = async (identity: Identity): Promise<Opening> => {
    if (identity.kind === 'robot') return robotMay
    if (kindOf(identity) === 'service account') return serviceAccountMay
    return await firstOpen(reviews, identity, [
      { imageStream: { namespace: qciNamespace }, rule: 'qci-wide' },
    ])
  }
  return {
    decide: async (identity, reference) => decisionOf(await open(identity), doorsOf.reference(reference)),
    decideImageStream: async (identity, imageStream) =>
      decisionOf(await open(identity), doorsOf.imageStream(imageStream)),
    isRestricted: () => false,
  }
}
