/**
 * Where the list of the desired images comes from. The service reads it before each pass.
 */
import type { MirrorConfig } from '../config/mirror-config.ts'
import { desiredImages, type Desired } from './desired.ts'

export interface DesiredSource {
  /** A part that cannot be read is a `problem`, and does not stop the rest. @throws {Error} only where `signal` ended it */
  readonly read: (config: MirrorConfig, signal: AbortSignal) => Promise<DesiredReading>
}

export interface DesiredReading extends Desired {
  /** What could not be read, and what is used until it can be. A sentence without its end. */
  readonly problem?: string
}

/** `supplementalCIImages` alone: no request to a cluster. */
export const externalImages: DesiredSource = { read: async (config) => desiredImages(config) }
