/**
 * How long a client waits for the decision about its request, however many questions that takes.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyRequest } from 'fastify'
import { unavailable } from '../oci/errors.ts'

/** Milliseconds since the request came in. docker gives up on the whole of login after 15 s; 503 is promised within 5 s. */
const decisionTimeoutMs = 4500

/** The work goes on for others who wait for the same answer. @throws {RegistryError} UNAVAILABLE */
export const beforeDeadline = async <Value>(
  request: Pick<FastifyRequest, 'receivedAt'>,
  work: Promise<Value>,
): Promise<Value> => {
  const timer = new AbortController()
  const remaining = Math.max(0, request.receivedAt + decisionTimeoutMs - performance.now())
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
