/**
 * Provides the list of desired images. The service reads it before each pass.
 */
import type { MirrorConfig } from '../config/mirror-config.ts'
import { desiredImages, type Desired } from './desired.ts'

export interface DesiredSource {
  /** A part that cannot be read is a `problem`; the other parts are read. @throws {Error} only if `signal` is aborted */
  readonly read: (config: MirrorConfig, signal: AbortSignal) => Promise<DesiredReading>
  /** For a source that reports changes. */
  readonly watch?: SourceWatch
}

export interface SourceWatch {
  /** Starts the watch. @param changed called with the targets that now have another image, or none */
  readonly start: (changed: (targets: ReadonlySet<string>) => void) => Promise<void>
  /** The last reading, with what has changed since. Undefined before the first one. */
  readonly latest: (config: MirrorConfig) => Desired | undefined
  /** Why a target is in the list or not: a sentence without its full stop. Undefined if the text is not a target. */
  readonly verdictOf: (target: string) => string | undefined
  /** Whether nothing is missing. */
  readonly isWhole: () => boolean
  /** Which of its files cannot be read, and why: a sentence without its full stop. */
  readonly problem: () => string | undefined
  readonly counts: () => { readonly tags: number; readonly silentSeconds: number }
  /** Looks at its files now. */
  readonly reload: () => void
  readonly close: () => Promise<void>
}

export interface DesiredReading extends Desired {
  /** Which part could not be read, and what is used meanwhile: a sentence without its full stop. */
  readonly problem?: string
}

/** Only `supplementalCIImages`, which needs no request to a cluster. */
export const externalImages: DesiredSource = { read: async (config) => desiredImages(config) }
