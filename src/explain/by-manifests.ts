/**
 * Explains whether a given user may pull an image, without a proxy: RBAC manifests answer the reviews. It checks a change to RBAC before
 * the change is applied.
 */
import { clusterKindOf, serviceAccountOf, type UserInfo } from '../access/identity.ts'
import type { PullSpecOptions } from '../oci/pull-spec.ts'
import { createTagOwner } from '../oci/qci-tag.ts'
import type { ImageStream, Reference } from '../oci/reference.ts'
import type { Explanation, ReviewResult } from './explanation.ts'
import { createGrantAdvice, type GrantAdviceForm } from './grant-advice.ts'
import { readImage, readingOf } from './read-image.ts'

export interface OfflineOptions extends Omit<PullSpecOptions, 'ownerOf'> {
  readonly isRestricted: (namespace: string) => boolean
  readonly qciNamespace: string
  readonly grantAdvice: GrantAdviceForm
  /** Whether all manifests could be read. */
  readonly isWhole: boolean
  readonly review: (user: UserInfo, imageStream: ImageStream) => Pick<ReviewResult, 'answer' | 'because'>
}

/** @throws {Error} if the text is no image of QCI */
export const explainByManifests = (image: string, user: UserInfo, options: OfflineOptions): Explanation => {
  const { isRestricted, qciNamespace } = options
  const ownerOf = createTagOwner(isRestricted)
  const { reference, pullSpec } = readImage(image, { ...options, ownerOf })
  const reading = readingOf(reference, isRestricted)
  const base = {
    image,
    pullSpec,
    identity: { username: user.username, kind: clusterKindOf(user.username) },
    reading,
  }
  if (reading.digest !== undefined) return { ...base, ...ofDigest }
  const reviews = reviewsOf(reference, user, options)
  const yes = reviews.find(({ answer }) => answer === 'yes')
  if (yes !== undefined && isUnowned(reference)) return { ...base, reviews, ...ofUnowned }
  if (yes !== undefined) return { ...base, reviews, access: 'allowed', ...allowedBy(yes, pullSpec) }
  if (reviews.some(({ answer }) => answer === 'unknown')) return { ...base, reviews, ...unknownRole }
  if (!options.isWhole) return { ...base, reviews, ...unreadManifest }
  const { namespace } = reading
  return {
    ...base,
    reviews,
    access: 'denied',
    reason: `${user.username} may not pull it: no review says yes.`,
    next: createGrantAdvice(
      options.grantAdvice,
      qciNamespace,
    )({
      username: user.username,
      namespace,
      isRestricted: reading.restricted === true,
    }),
  }
}

/** Only a proxy knows the namespaces. */
const ofDigest = {
  access: 'unknown',
  reviews: [],
  reason: 'A digest is decided by the namespaces that it was seen in, which only a proxy knows.',
  next: 'ask a proxy with --server, or explain the tag of the image',
} as const satisfies Partial<Explanation>

/** The proxy decides about such a tag by its image, too. */
const ofUnowned = {
  access: 'unknown',
  reason:
    'They have QCI-wide access, which opens a tag without a namespace unless a restricted tag reaches the same image. That only a proxy knows.',
  next: 'ask a proxy with --server',
} as const satisfies Partial<Explanation>

const isUnowned = (reference: Reference): boolean => reference.kind === 'tag' && reference.owner.by === 'qci'

const unknownRole = {
  access: 'unknown',
  reason: 'A binding names a role that is in none of the folders.',
  next: 'give the folder of that role with a further --rbac',
} as const satisfies Partial<Explanation>

/** It may have the binding that is missing. */
const unreadManifest = {
  access: 'unknown',
  reason: 'No review says yes, but a manifest could not be read.',
  next: 'correct the file that was left out, then run this again',
} as const satisfies Partial<Explanation>

const allowedBy = ({ role, namespace }: ReviewResult, pullSpec: string) =>
  ({
    rule: role === 'qci-image-puller' ? 'qci-wide' : 'image-puller',
    reason: `They may pull it: ${
      role === 'qci-image-puller'
        ? 'they have QCI-wide access'
        : `they have ${role} in namespace ${namespace}`
    }. Whether QCI has it, only a proxy knows. A token with scopes, or a proxy with other flags, may open less.`,
    next: `podman pull ${pullSpec}, once the manifests are applied`,
  }) as const

/** The same reviews as those of the proxy, in the same order. */
const reviewsOf = (
  reference: Reference,
  user: UserInfo,
  { review, isRestricted, qciNamespace }: OfflineOptions,
): readonly ReviewResult[] => {
  const stream =
    reference.kind === 'tag' && reference.owner.by === 'image-stream'
      ? reference.owner.imageStream
      : undefined
  const qci = { namespace: qciNamespace }
  return [
    ...(stream !== undefined && isRestricted(stream.namespace)
      ? []
      : [{ role: 'qci-image-puller' as const, ...qci, ...review(user, qci) }]),
    ...(stream === undefined
      ? []
      : [{ role: 'system:image-puller' as const, ...stream, ...review(user, stream) }]),
  ]
}

/** The user of a SubjectAccessReview, with the groups that every cluster adds. */
export const userOf = (username: string | undefined, groups: readonly string[]): UserInfo => {
  const name = username ?? 'somebody'
  const account = serviceAccountOf(name)
  const implied =
    name === 'system:anonymous'
      ? ['system:unauthenticated']
      : [
          ...(account === undefined
            ? []
            : ['system:serviceaccounts', `system:serviceaccounts:${account.namespace}`]),
          'system:authenticated',
        ]
  return { username: name, groups: [...new Set([...groups, ...implied])], extra: {} }
}
