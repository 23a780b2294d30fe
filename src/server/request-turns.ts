/**
 * The stage that spreads requests over turns of the event loop, so that a burst from one address delays the requests of others by a few
 * milliseconds at most.
 */
import type { onRequestHookHandler } from 'fastify'
import type { TurnQueue } from '../concurrency/turn-queue.ts'

/**
 * Requests, and error responses, in one turn of the event loop. Each takes about 0.1 ms: a turn takes 3 ms. No client of a registry sends
 * as many at once.
 */
export const maxPerTurn = 32

/** A hook for `onRequest`. */
export const spreadBursts =
  (turns: TurnQueue): onRequestHookHandler =>
  (request, _reply, done) =>
    turns.run(request.client.network, done)
