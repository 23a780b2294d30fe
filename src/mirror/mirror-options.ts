/**
 * What the mirror is given, and what it reports.
 */
import type { Clock } from '../concurrency/clock.ts'
import type { Digest } from '../oci/digest.ts'
import type { CopyResult } from './copy/copy-image.ts'
import type { DesiredImage } from './plan/desired.ts'
import type { CompareOptions } from './plan/findings.ts'
import type { RetryRules } from './queue/entry.ts'
import type { CopyStatus, QueuedCopy } from './queue/queued-copy.ts'
import type { UnsuitableManifest } from './registry/failure.ts'
import type { Registries } from './registry/registries.ts'
import type { RepositoryOptions } from './registry/repository.ts'

export interface MirrorOptions {
  readonly registries: Registries
  /** The registry and the repository of QCI: `quay.io` and `openshift/ci`. */
  readonly qci: { readonly registry: string; readonly repository: string }
  readonly observe?: (event: MirrorEvent) => void
  /** Called when a copy begins. */
  readonly begin?: (copy: QueuedCopy) => void
  /** Whether an image is copied with its signatures, attestations and SBOMs. */
  readonly hasAttachments?: (target: string) => boolean
  /** Whether the watch of all ImageStreams brings no schema 2 with a layer that is not gzip; true unless given. */
  readonly onlyGzipLayers?: boolean
  readonly maxConcurrent?: number
  readonly maxPerHost?: number
  readonly rules?: RetryRules
  readonly clock?: Clock
  /** Ends every request. */
  readonly signal?: AbortSignal
  /** Milliseconds since the epoch: prune tags have it in their names. */
  readonly now?: () => number
}

export interface PassOptions extends Pick<CompareOptions, 'signal' | 'found'> {
  /** Which images are compared: all that are desired, unless given. */
  readonly images?: readonly DesiredImage[]
  readonly priority?: RepositoryOptions['priority']
  /** The digest that a target of the watch last had in common with app.ci, if an earlier comparison or copy has shown it. */
  readonly commonOf?: (target: string) => Digest | undefined
}

export type MirrorEvent =
  | ({
      readonly what: 'copied'
      readonly target: string
      readonly digest: Digest
      readonly result: CopyResult
    } & Timed)
  | ({ readonly what: 'failed'; readonly status: CopyStatus; readonly error: unknown } & Timed)
  | {
      readonly what: 'unsuitable'
      readonly image: DesiredImage
      readonly form: UnsuitableManifest['form']
      readonly reason: string
    }

interface Timed {
  readonly milliseconds: number
}
