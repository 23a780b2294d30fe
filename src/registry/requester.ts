/**
 * The name under which a request counts in limits that are shared out by requester.
 */
import type { FastifyRequest } from 'fastify'
import { identityOf } from './request-context.ts'

/**
 * The user name from the TokenReview, because one person may have many tokens. Many clients use the robot's login or none: their address
 * tells them apart.
 */
export const requesterOf = (request: FastifyRequest): string => {
  const identity = identityOf(request)
  const {
    kind,
    user: { username },
  } = identity
  return kind === 'robot' || kind === 'anonymous' ? `${username} at ${request.client.network}` : username
}

/** Before authentication: the address. */
export const requesterOrNetworkOf = (request: FastifyRequest): string =>
  request.identity === null ? request.client.network : requesterOf(request)
