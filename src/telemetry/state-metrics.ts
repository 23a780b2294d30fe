/**
 * The Prometheus metrics of the state of a replica: which build runs, whether it is ready, and how old its credentials are.
 */
import { Gauge, type Registry } from 'prom-client'
import { gaugeOn } from './instruments.ts'

export interface StateReadings {
  readonly isReady: () => boolean
  /** The age of the oldest token in use; undefined without a token. */
  readonly robotTokenAgeMs: () => number | undefined
  /** When the certificate expires, in milliseconds since the epoch. Undefined without TLS. */
  readonly certificateExpiry: (() => number) | undefined
}

export interface Build {
  readonly version: string
  /** `v26.10.0` */
  readonly node: string
}

/** @param read its functions are called at every scrape */
export const createStateMetrics = (
  registry: Registry,
  { version, node }: Build,
  read: StateReadings,
): void => {
  const gauge = gaugeOn(registry)
  new Gauge({
    name: 'quay_proxy_build_info',
    help: 'Always 1; the labels are the version of the proxy and of Node.js.',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node }, 1)
  gauge('ready', '1 while /readyz answers 200. Alert on 0 for more than a few minutes.', () =>
    Number(read.isReady()),
  )
  gauge(
    'robot_token_age_seconds',
    'Age of the oldest token of the robots; 0 without a token. A token of quay.io lives for an hour. Alert on more, if logins are tried.',
    () => (read.robotTokenAgeMs() ?? 0) / 1000,
  )
  const { certificateExpiry } = read
  if (certificateExpiry !== undefined)
    gauge(
      'tls_certificate_expiry_timestamp_seconds',
      'When the certificate of the proxy expires, or the first one of its chain, as a Unix time. Alert a week before.',
      () => certificateExpiry() / 1000,
    )
}

/** @param count called at every scrape */
export const createConnectionMetrics = (registry: Registry, count: () => Promise<number>): void => {
  gaugeOn(registry)('connections', 'Open connections of clients.', count)
}
