/**
 * Shares recent grants with all replicas, which send these reviews first. A grant that is lost or made up changes the order of reviews and
 * nothing else.
 */
import { maxReviewsPerDecision } from '../access/reviews.ts'
import type { SharedGrants } from '../access/recent-grants.ts'
import { openLifeMs } from '../digests/sightings.ts'
import { grantsKey } from './keys.ts'
import { listOf, textOf, type Reply } from './reply.ts'
import { grantScript } from './scripts.ts'
import { evalOf } from './session.ts'
import type { Argument } from './store-client.ts'

/** As long as the fact of an open tag lives. */
const lifeSeconds = openLifeMs / 1000

export const createGrants = (send: (args: readonly Argument[]) => Promise<Reply>): SharedGrants => ({
  publish: async (holder, place) => {
    const args = [place, String(maxReviewsPerDecision), String(lifeSeconds)]
    // If it cannot be sent, it is lost: another replica sends its reviews in another order.
    await send(evalOf(grantScript, [grantsKey(holder)], args)).catch(() => undefined)
  },
  read: async (holder) => {
    try {
      const reply = await send(['ZREVRANGE', grantsKey(holder), '0', String(maxReviewsPerDecision - 1)])
      return listOf(reply).map(textOf)
    } catch {
      return []
    }
  },
})
