/**
 * Instruments of prom-client with our prefix, on a given Registry.
 */
import { Counter, Gauge, type Registry } from 'prom-client'

/** The values of each label, if they are a closed set. */
export type LabelValues = Readonly<Record<string, readonly string[]>>

export type LabelsOf<Values extends LabelValues> = {
  readonly [Label in keyof Values]: Values[Label][number]
}

/** Counts events by labels. */
export interface ClosedCounter<Values extends LabelValues> {
  readonly inc: (labels: LabelsOf<Values>, by?: number) => void
}

/** Every combination of the values. */
export const combinationsOf = <const Values extends LabelValues>(
  values: Values,
): readonly LabelsOf<Values>[] =>
  Object.entries(values).reduce<readonly Record<string, string>[]>(
    (combinations, [label, ofLabel]) =>
      combinations.flatMap((labels) => ofLabel.map((value) => ({ ...labels, [label]: value }))),
    [{}],
  ) as readonly LabelsOf<Values>[]

/** A counter whose label values are not known before the first event, or one without labels. */
export const counterOn =
  (registry: Registry) =>
  <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Counter({
      name: `quay_proxy_${name}`,
      help,
      labelNames: [...labelNames],
      registers: [registry],
    })

/** Starts every possible series of a counter at 0. */
export const startAtZero = <const Values extends LabelValues>(
  { inc }: ClosedCounter<Values>,
  values: Values,
  isPossible: (labels: LabelsOf<Values>) => boolean,
): void => {
  for (const labels of combinationsOf(values).filter(isPossible)) inc(labels, 0)
}

/**
 * A counter with closed sets of label values. All its series start at 0: `increase()` does not see the first event of a series that
 * starts at 1, so an alert would miss it.
 * @param isPossible false for combinations that cannot occur
 */
export const closedCounterOn =
  (registry: Registry) =>
  <const Values extends LabelValues>(
    name: string,
    help: string,
    values: Values,
    isPossible: (labels: LabelsOf<Values>) => boolean = () => true,
  ): ClosedCounter<Values> => {
    const counter = counterOn(registry)(name, help, Object.keys(values))
    const closed: ClosedCounter<Values> = { inc: (labels, by = 1) => counter.inc(labels, by) }
    startAtZero(closed, values, isPossible)
    return closed
  }

/** A value that is read at every scrape. */
export const gaugeOn =
  (registry: Registry) => (name: string, help: string, value: () => number | Promise<number>) =>
    new Gauge({
      name: `quay_proxy_${name}`,
      help,
      registers: [registry],
      async collect() {
        this.set(await value())
      },
    })
