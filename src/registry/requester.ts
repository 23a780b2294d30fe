/**
 * Whose share of upstream a request uses up, where there is not enough for everybody at once.
 */
import type { FastifyRequest } from 'fastify'
import { identityOf } from './request-context.ts'

/**
 * By the name that the cluster has reviewed, since one person may have many tokens. The robot and nobody in particular are many
 * at once: there the address tells them apart.
 */
export const requesterOf = (request: FastifyRequest): string => {
  const identity = identityOf(request)
  const {
    kind,
    user: { username },
  } = identity
  return kind === 'robot' || kind === 'anonymous' ? `${username} at ${request.client.network}` : username
}

/** The same, before it is known who asks: by the address. */
export const requesterOrNetworkOf = (request: FastifyRequest): string =>
  request.identity === null ? request.client.network : requesterOf(request)
