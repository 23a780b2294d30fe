/**
 * The deadline of the access decision of a request. All reviews of the decision share it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyRequest } from 'fastify'
import { unavailable } from '../oci/errors.ts'

/** Milliseconds. docker gives up on a login after 15 s; docs/operations.md promises a 503 within 5 s. */
const decisionTimeoutMs = 4500

/**
 * What the deadline counts from: the arrival of a request, if the decision is its first work; otherwise the moment at which the decision
 * begins. Otherwise a slow upstream would leave no time, and the error would blame the cluster.
 */
export type DeadlineStart = Pick<FastifyRequest, 'receivedAt'>

/** The work continues for other requests that wait for the same result. @throws {RegistryError} UNAVAILABLE */
export const beforeDeadline = async <Value>(
  { receivedAt }: DeadlineStart,
  work: Promise<Value>,
): Promise<Value> => {
  const timer = new AbortController()
  const remaining = Math.max(0, receivedAt + decisionTimeoutMs - performance.now())
  const deadline = sleep(remaining, undefined, { signal: timer.signal }).then(() => {
    throw unavailable('the cluster that decides about access is too slow; try again in a moment')
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    timer.abort()
    deadline.catch(() => undefined)
  }
}
