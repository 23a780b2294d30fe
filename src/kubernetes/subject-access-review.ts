/**
 * May this identity `get imagestreams/layers` in a namespace, by a SubjectAccessReview.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
 */
import type { V1SubjectAccessReviewSpec, V1SubjectAccessReviewStatus } from '@kubernetes/client-node'
import type { ClusterIdentity } from '../access/identity.ts'
import type { AccessReviews } from '../access/policy.ts'
import type { ImageStream } from '../reference.ts'
import { createRemembered, type Source } from './remembered.ts'

export interface AccessReviewerOptions {
  readonly ask: (spec: V1SubjectAccessReviewSpec) => Promise<V1SubjectAccessReviewStatus>
  readonly allowTtlMs: number
  readonly denyTtlMs: number
  readonly graceMs: number
  readonly observe: (review: { outcome: 'allowed' | 'denied' | 'failed'; source: Source }) => void
  readonly now?: () => number
}

const maxReviews = 100_000

export const createAccessReviewer = (options: AccessReviewerOptions): AccessReviews => {
  const { ask, allowTtlMs, denyTtlMs, graceMs, observe, now = Date.now } = options
  const reviews = createRemembered<V1SubjectAccessReviewSpec, boolean>({
    // "No opinion" is allowed: false, denied: false; only an outspoken yes opens.
    ask: async (spec) => (await ask(spec)).allowed === true,
    ttlMs: (allowed) => (allowed ? allowTtlMs : denyTtlMs),
    graceMs: (allowed) => (allowed ? graceMs : 0),
    max: maxReviews,
    now,
  })
  return {
    review: async (identity, imageStream) => {
      try {
        const { answer: allowed, source } = await reviews.answer(
          keyOf(identity, imageStream),
          specOf(identity, imageStream),
        )
        observe({ outcome: allowed ? 'allowed' : 'denied', source })
        return { allowed, source }
      } catch (error) {
        observe({ outcome: 'failed', source: 'asked' })
        throw error
      }
    },
    peek: (identity, imageStream) => reviews.peek(keyOf(identity, imageStream)),
    peekInGrace: (identity, imageStream) => reviews.peekInGrace(keyOf(identity, imageStream)),
  }
}

// Neither a base64 hash nor a namespace nor an image stream's name holds a space.
const keyOf = (identity: ClusterIdentity, { namespace, name = '' }: ImageStream): string =>
  `${identity.key} ${namespace} ${name}`

/** The split form `imagestreams` + `layers`: it matches every rule the joined one does, and `*\/layers` too. */
const specOf = ({ user }: ClusterIdentity, { namespace, name }: ImageStream): V1SubjectAccessReviewSpec => ({
  user: user.username,
  ...(user.uid === undefined ? {} : { uid: user.uid }),
  groups: [...user.groups],
  extra: Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]])),
  resourceAttributes: {
    verb: 'get',
    group: 'image.openshift.io',
    resource: 'imagestreams',
    subresource: 'layers',
    namespace,
    ...(name === undefined ? {} : { name }),
  },
})
