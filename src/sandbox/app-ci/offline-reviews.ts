/**
 * Answers reviews from manifests alone, without a cluster, to check a change to RBAC before it is applied.
 */
import type { UserInfo } from '../../access/identity.ts'
import { pullAttributes } from '../../access/pull-attributes.ts'
import { identitiesIn } from './identities.ts'
import { loadManifests } from './kubernetes-object.ts'
import { openshiftRoles } from './openshift-roles.ts'
import { createRbac } from './rbac.ts'

export interface OfflineReviews {
  /** `unknown`: a binding of the user names a role that no manifest holds. */
  readonly review: (
    user: UserInfo,
    imageStream: Parameters<typeof pullAttributes>[0],
  ) => { readonly answer: 'yes' | 'no' | 'unknown'; readonly because?: string }
  /** The groups of a user in Groups of `user.openshift.io`. */
  readonly groupsOf: (user: string) => readonly string[]
  /** Documents and objects that were left out, with the reasons. */
  readonly skipped: readonly string[]
  /** False if a file or a document could not be read: a refusal may be wrong then. */
  readonly isWhole: boolean
}

/** @throws {Error} naming a directory that cannot be read */
export const loadOfflineReviews = async (directories: readonly string[]): Promise<OfflineReviews> => {
  const loaded = await Promise.all(directories.map(loadManifests))
  const objects = loaded.flatMap((one) => one.objects)
  const rbac = createRbac([...openshiftRoles, ...objects])
  return {
    review: (user, imageStream) => {
      const { allowed, reason } = rbac.authorize(user, pullAttributes(imageStream))
      const because = reason === '' ? {} : { because: reason.replace(/^RBAC: /, '') }
      // A refusal has a reason only if a role was not found.
      return { answer: allowed ? 'yes' : reason === '' ? 'no' : 'unknown', ...because }
    },
    groupsOf: identitiesIn(objects).groupsOf,
    isWhole: loaded.every((one) => one.isWhole),
    skipped: [...loaded.flatMap((one) => one.skipped), ...rbac.skipped],
  }
}
