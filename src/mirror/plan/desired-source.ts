/**
 * Provides the list of desired images. The service reads it before each pass.
 */
import type { MirrorConfig } from '../config/mirror-config.ts'
import { desiredImages, type Desired } from './desired.ts'

export interface DesiredSource {
  /** A part that cannot be read is a `problem`; the other parts are read. @throws {Error} only if `signal` is aborted */
  readonly read: (config: MirrorConfig, signal: AbortSignal) => Promise<DesiredReading>
}

export interface DesiredReading extends Desired {
  /** Which part could not be read, and what is used meanwhile: a sentence without its full stop. */
  readonly problem?: string
}

/** Only `supplementalCIImages`, which needs no request to a cluster. */
export const externalImages: DesiredSource = { read: async (config) => desiredImages(config) }
