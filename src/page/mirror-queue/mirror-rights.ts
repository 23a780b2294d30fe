/**
 * Decides who may see the mirror's queue, and who may sync an image, by `nonResourceURLs` of RBAC with the verbs get and post. A right to
 * `/mirrors` opens all images; a right to a path such as `/mirrors/ocp/*` opens the images of a namespace.
 */
import type { PathReviews, PathRight } from '../../access/reviews.ts'
import type { Identity } from '../../access/identity.ts'
import { RegistryError } from '../../oci/errors.ts'
import { mirrorPaths } from '../../registry/route-paths.ts'
import { pagePathOf } from './mirror-paths.ts'

export interface MirrorRights {
  /**
   * @param target undefined for the queue
   * @returns whether all images are open
   * @throws {RegistryError} DENIED; UNAVAILABLE if the API server does not answer
   */
  readonly require: (identity: Identity, verb: PathRight['verb'], target?: string) => Promise<boolean>
}

export const createMirrorRights = ({ reviewPath }: PathReviews): MirrorRights => ({
  require: async (identity, verb, target) => {
    // Robots are not users of the cluster, so RBAC cannot give them rights.
    if (identity.kind === 'robot') throw denied(identity, verb, target)
    const paths = [mirrorPaths.list, ...(target === undefined ? [] : [pagePathOf(target)])]
    const reviews = await Promise.allSettled(
      paths.map(async (path) => (await reviewPath(identity, { verb, path })).allowed),
    )
    const isOpen = reviews.map((review) => review.status === 'fulfilled' && review.value)
    if (isOpen.includes(true)) return isOpen[0] === true
    for (const review of reviews) if (review.status === 'rejected') throw review.reason
    throw denied(identity, verb, target)
  },
})

const denied = ({ user }: Identity, verb: PathRight['verb'], target: string | undefined): RegistryError =>
  new RegistryError(
    'DENIED',
    `${user.username} may not ${verb === 'get' ? 'look at' : 'sync'} ${target ?? 'the queue'} in the mirror; ask for a ClusterRole with nonResourceURLs ${JSON.stringify([mirrorPaths.list])} and the verb ${verb}`,
  )
