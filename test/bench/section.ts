/**
 * What a part of the benchmark has to say: tables, and what was promised beside what came out.
 */

export interface Part {
  /** How it is asked for: `npm run bench -- <name>`. */
  readonly name: string
  readonly title: string
  /** For who reads the tables for the first time: what is in them and how it was measured. */
  readonly about: string
  readonly run: (setting: Setting) => Promise<Section>
}

export interface Setting {
  /** The `main.ts` of the proxy that is measured. */
  readonly main: string
  /** What was given after the name: `10m` of `soak=10m`. */
  readonly argument: string | undefined
  /** Without bad requesters, where there would be some beside others. */
  readonly isPeaceful: boolean
  /** Progress, for who waits. */
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

/** A promise, and what became of it. */
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

/** @param measured says by how much, where it is missed */
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
