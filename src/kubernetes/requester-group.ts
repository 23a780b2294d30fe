/**
 * The share that an identity takes of everything that is limited: reviews in flight, refusals, cached answers.
 */
import { serviceAccountOf, type ClusterIdentity } from '../access/identity.ts'

/**
 * The reviewed user name, because one person may have many tokens, each with an `extra` of its own.
 *
 * Attack: an editor of a namespace creates a thousand service accounts. So all of one namespace have one share.
 */
export const shareOf = ({ user: { username } }: Pick<ClusterIdentity, 'user'>): string => {
  const account = serviceAccountOf(username)
  return account === undefined ? username : `system:serviceaccounts:${account.namespace}`
}
