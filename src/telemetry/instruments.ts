/**
 * Instruments of prom-client, as all of ours are: below one prefix, on a Registry that is handed in.
 */
import { Counter, Gauge, type Registry } from 'prom-client'

export const counterOn =
  (registry: Registry) =>
  <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Counter({
      name: `quay_proxy_${name}`,
      help,
      labelNames: [...labelNames],
      registers: [registry],
    })

/** A value that is read at every scrape. */
export const gaugeOn = (registry: Registry) => (name: string, help: string, value: () => number) =>
  new Gauge({
    name: `quay_proxy_${name}`,
    help,
    registers: [registry],
    collect() {
      this.set(value())
    },
  })
