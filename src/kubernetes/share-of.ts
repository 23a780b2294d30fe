/**
 * Whose share of what is bounded an identity uses up: reviews in flight, refusals, room in memory.
 */
import { serviceAccountOf, type ClusterIdentity } from '../access/identity.ts'

/**
 * By the reviewed name, since one person may have many tokens, each with an `extra` of its own. Attack: whoever may make one service
 * account of a namespace may make a thousand: they share.
 */
export const shareOf = ({ user: { username } }: Pick<ClusterIdentity, 'user'>): string => {
  const account = serviceAccountOf(username)
  return account === undefined ? username : `system:serviceaccounts:${account.namespace}`
}
