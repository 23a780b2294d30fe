/**
 * The results of a part of the benchmark: tables, and targets with their outcomes.
 */

export interface Part {
  /** The argument that selects it: `npm run bench -- <name>`. */
  readonly name: string
  readonly title: string
  /** For new readers of the tables: what the tables show, and how the values were measured. */
  readonly about: string
  readonly run: (setting: Setting) => Promise<Section>
}

export interface Setting {
  /** The program that is measured. */
  readonly main: string
  /** The text after the name: `10m` of `soak=10m`. */
  readonly argument: string | undefined
  /** Without bad requesters. */
  readonly isPeaceful: boolean
  /** Shows progress. */
  readonly say: (text: string) => void
}

export interface Section {
  readonly tables: readonly Table[]
  readonly outcomes: readonly Outcome[]
  readonly notes?: readonly string[]
}

export interface Table {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** A target, and its outcome. */
export interface Outcome {
  readonly target: string
  readonly measured: string
  readonly verdict: string
}

interface Compared {
  readonly what: string
  readonly limit: number
  readonly measured: number
  /** `(value) => '0.53 s'` */
  readonly format: (value: number) => string
}

export const atMost = ({ what, limit, measured, format }: Compared): Outcome => ({
  target: `${what}: at most ${format(limit)}`,
  measured: format(measured),
  verdict: measured <= limit ? 'met' : `**missed by ${format(measured - limit)}**`,
})

export const atLeast = ({ what, limit, measured, format }: Compared): Outcome => ({
  target: `${what}: at least ${format(limit)}`,
  measured: format(measured),
  verdict: measured >= limit ? 'met' : `**missed by ${format(limit - measured)}**`,
})

/** @param measured a text; it says by how much a target was missed */
export const mustHold = (target: string, measured: string, holds: boolean): Outcome => ({
  target,
  measured,
  verdict: holds ? 'met' : '**missed**',
})

export const times = (value: number): string => `${value.toFixed(2)} times`
export const percent = (value: number): string => `${(value * 100).toFixed(0)} %`
export const megabytes = (bytes: number): string => `${withoutSignOfZero((bytes / 1e6).toFixed(1))} MB`
export const milliseconds = (value: number): string => `${withoutSignOfZero(value.toFixed(2))} ms`

const withoutSignOfZero = (text: string): string => text.replace(/^-(?=[0.]+$)/, '')
