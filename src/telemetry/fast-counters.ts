/**
 * Counters and timers for every request. prom-client makes a text of all labels for each event, and finds the series by that text. These
 * find the series by the values themselves, and pass their counts to prom-client at a scrape.
 */
import { Counter, type Metric, type Registry } from 'prom-client'
import { startAtZero, type ClosedCounter, type LabelsOf, type LabelValues } from './instruments.ts'

type Labels<Label extends string> = Readonly<Record<Label, string | number>>

export interface FastCounters<Label extends string> {
  readonly inc: (labels: Labels<Label>, by?: number) => void
}

export const fastCounterOn =
  (registry: Registry) =>
  <Label extends string>(name: string, help: string, labelNames: readonly Label[]): FastCounters<Label> => {
    const { rowOf, rows } = createRows(labelNames, () => ({ count: 0 }))
    // The registry has the reference to it.
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

/** A fast counter with closed sets of label values; see `closedCounterOn`. */
export const closedFastCounterOn =
  (registry: Registry) =>
  <const Values extends LabelValues>(
    name: string,
    help: string,
    values: Values,
    isPossible: (labels: LabelsOf<Values>) => boolean = () => true,
  ): ClosedCounter<Values> => {
    const counter: ClosedCounter<Values> = fastCounterOn(registry)(name, help, Object.keys(values))
    startAtZero(counter, values, isPossible)
    return counter
  }

export interface FastTimer<Label extends string> {
  readonly observe: (labels: Labels<Label>, seconds: number) => void
  /** Creates the series of these labels before the first event. */
  readonly start: (labels: Labels<Label>) => void
}

interface Timed {
  /** One for each bucket, and one for longer times. */
  readonly counts: number[]
  sum: number
}

/** A histogram. prom-client's own takes only single values, so this one is registered next to those. */
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
      start: (labels) => void rowOf(labels),
      observe: (labels, seconds) => {
        const timed = rowOf(labels)
        let bucket = 0
        while (bucket < buckets.length && seconds > (buckets[bucket] as number)) bucket++
        timed.counts[bucket] = (timed.counts[bucket] as number) + 1
        timed.sum += seconds
      },
    }
  }

/** For Prometheus, each bucket includes the counts of the buckets below it. */
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

/** The series below the values of the labels so far. */
interface Level<Value> {
  readonly below: Map<string | number, Level<Value>>
  value?: Value
}

/** One row for each combination of values that was used. */
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
