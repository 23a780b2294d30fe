/**
 * The metrics of requests to the mirror, which the proxy sends for clients and for its page.
 */
import type { Registry } from 'prom-client'
import { closedCounterOn, type ClosedCounter } from './instruments.ts'

const methods = ['GET', 'POST'] as const
const outcomes = ['answered', 'failed', 'late', 'unreachable', 'shed', 'cancelled'] as const

export type MirrorMethod = (typeof methods)[number]
/** `cancelled`: the client has left. */
export type MirrorOutcome = (typeof outcomes)[number]

export const createMirrorMetrics = (
  registry: Registry,
): { readonly requests: ClosedCounter<{ method: typeof methods; outcome: typeof outcomes }> } => ({
  requests: closedCounterOn(registry)(
    'mirror_requests_total',
    'Requests to the mirror, by method and outcome; failed: 5xx, or too large an answer; shed: not sent. Alert on a rate of failed, late and unreachable.',
    { method: methods, outcome: outcomes },
  ),
})
