/**
 * The Prometheus metrics of the state that replicas share, on the Registry of the other metrics.
 */
import { gaugeOn } from './instruments.ts'
import type { Metrics } from './metrics.ts'

/** To be created only if replicas share state. @param status is called at every scrape */
export const createSharedStateMetrics = (
  { registry }: Pick<Metrics, 'registry'>,
  status: () => { readonly state: string; readonly reason?: string; readonly replicas: number },
): void => {
  const gauge = gaugeOn(registry)
  gauge(
    'shared_state_connected',
    '1 while this replica exchanges facts with the others. Alert on 0 for more than a few minutes.',
    () => Number(status().state === 'connected' && status().reason === undefined),
  )
  gauge(
    'shared_state_replicas',
    'Replicas that share state, as far as this replica knows.',
    () => status().replicas,
  )
}
