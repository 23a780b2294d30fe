/**
 * Instruments of what happens with every request. prom-client makes one text of all labels for each event, and finds the row by that;
 * here the row is found by the values as they are, and what was counted is handed over when somebody scrapes.
 */
import { Counter, type Metric, type Registry } from 'prom-client'

type Labels<Label extends string> = Readonly<Record<Label, string | number>>

export interface FastCounters<Label extends string> {
  readonly inc: (labels: Labels<Label>, by?: number) => void
}

export const fastCounterOn =
  (registry: Registry) =>
  <Label extends string>(name: string, help: string, labelNames: readonly Label[]): FastCounters<Label> => {
    const { rowOf, rows } = createRows(labelNames, () => ({ count: 0 }))
    // It is reached by way of the registry.
    void new Counter({
      name: `quay_proxy_${name}`,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect() {
        for (const { labels, value } of rows) {
          this.inc(labels, value.count)
          value.count = 0
        }
      },
    })
    return {
      inc: (labels, by = 1) => {
        rowOf(labels).count += by
      },
    }
  }

export interface FastTimer<Label extends string> {
  readonly observe: (labels: Labels<Label>, seconds: number) => void
}

interface Timed {
  /** One for each bucket, and one for what is longer than all of them. */
  readonly counts: number[]
  sum: number
}

/** A histogram. prom-client's own takes single values only, so this one stands beside it in the registry. */
export const fastTimerOn =
  (registry: Registry) =>
  <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    /** Seconds, ascending. */
    buckets: readonly number[],
  ): FastTimer<Label> => {
    const full = `quay_proxy_${name}`
    const { rowOf, rows } = createRows<Label, Timed>(labelNames, () => ({
      counts: Array.from({ length: buckets.length + 1 }, () => 0),
      sum: 0,
    }))
    const get = async () => ({
      name: full,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values: rows.flatMap((row) => valuesOf(full, buckets, row)),
    })
    registry.registerMetric({ name: full, get } as unknown as Metric)
    return {
      observe: (labels, seconds) => {
        const timed = rowOf(labels)
        let bucket = 0
        while (bucket < buckets.length && seconds > (buckets[bucket] as number)) bucket++
        timed.counts[bucket] = (timed.counts[bucket] as number) + 1
        timed.sum += seconds
      },
    }
  }

/** As Prometheus reads it: each bucket holds what is in those below it as well. */
const valuesOf = <Label extends string>(
  name: string,
  buckets: readonly number[],
  { labels, value: { counts, sum } }: Row<Label, Timed>,
) => {
  let count = 0
  const cumulative = counts.map((more, bucket) => {
    count += more
    return {
      metricName: `${name}_bucket`,
      labels: { le: buckets[bucket] ?? '+Inf', ...labels },
      value: count,
    }
  })
  return [
    ...cumulative,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ]
}

interface Row<Label extends string, Value> {
  readonly labels: Labels<Label>
  readonly value: Value
}

/** What is known under the values of the labels so far. */
interface Level<Value> {
  readonly below: Map<string | number, Level<Value>>
  value?: Value
}

/** As many as the instrument has: one for each combination of values. */
const createRows = <Label extends string, Value>(labelNames: readonly Label[], first: () => Value) => {
  const rows: Row<Label, Value>[] = []
  const root: Level<Value> = { below: new Map() }
  const rowOf = (labels: Labels<Label>): Value => {
    let level = root
    for (const name of labelNames) {
      let next = level.below.get(labels[name])
      if (next === undefined) {
        next = { below: new Map() }
        level.below.set(labels[name], next)
      }
      level = next
    }
    if (level.value === undefined) {
      level.value = first()
      rows.push({ labels, value: level.value })
    }
    return level.value
  }
  return { rowOf, rows }
}
