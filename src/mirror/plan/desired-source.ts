/**
 * Where the list of the desired images comes from. The service reads it before each pass.
 */
import type { MirrorConfig } from '../config/mirror-config.ts'
import { desiredImages, type Desired } from './desired.ts'

export interface DesiredSource {
  /** A part that cannot be read is a `problem`, and does not stop the rest. @throws {Error} only where `signal` ended it */
  readonly read: (config: MirrorConfig, signal: AbortSignal) => Promise<DesiredReading>
  /** Of a source that is told of changes. */
  readonly watch?: SourceWatch
}

export interface SourceWatch {
  /** Begins. @param changed is told targets that have another image now, or none */
  readonly start: (changed: (targets: ReadonlySet<string>) => void) => Promise<void>
  /** The last reading, with what has changed since. Undefined before the first one. */
  readonly latest: (config: MirrorConfig) => Desired | undefined
  /** Why a target is, or is not, in the list: a sentence without its end. Undefined where the text is no target. */
  readonly verdictOf: (target: string) => string | undefined
  /** Whether nothing is missing. */
  readonly isWhole: () => boolean
  readonly counts: () => { readonly tags: number; readonly silentSeconds: number }
  /** Looks at its files now. */
  readonly reload: () => void
  readonly close: () => Promise<void>
}

export interface DesiredReading extends Desired {
  /** What could not be read, and what is used until it can be. A sentence without its end. */
  readonly problem?: string
}

/** `supplementalCIImages` alone: no request to a cluster. */
export const externalImages: DesiredSource = { read: async (config) => desiredImages(config) }
