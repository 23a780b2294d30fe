/**
 * The log lines of the service. Their messages are those of the former program, because people search for them.
 * @see https://github.com/openshift/release/blob/main/docs/dptp-triage-sop/misc.md
 */
import type { Logger } from '../../telemetry/logging.ts'
import type { LeaseChange } from '../lease/lease.ts'
import type { MirrorEvent } from '../mirror-options.ts'
import { formatReference } from '../names/image-reference.ts'
import type { Finding } from '../plan/findings.ts'
import type { CopyStatus, QueuedCopy } from '../queue/queued-copy.ts'
import type { PassEvent } from './passes.ts'

export class MirrorLog {
  readonly #logger: Logger
  #problem: string | undefined
  /** Images that were already left out of the last list: each is logged once. */
  #ignored: ReadonlySet<string> = new Set()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  readonly begin = ({ target, source, destination, digest }: QueuedCopy): void =>
    this.#logger.info({ target, source, destination, digest }, 'Mirroring ...')

  readonly copy = (event: MirrorEvent): void => {
    if (event.what === 'failed') return this.#failed(event.status, event.milliseconds)
    if (event.what === 'unsuitable') return this.#unsuitable(event)
    const { target, milliseconds, result } = event
    const { blobs, bytes, replaced } = result
    const fields = { blobs, bytes, replaced: replaced?.digest, pruneTag: replaced?.pruneTag }
    this.#logger.info({ target, seconds: seconds(milliseconds), ...fields }, 'Mirrored successfully')
  }

  readonly pass = (event: PassEvent): void => {
    if (event.what === 'desired') {
      this.#ignore(event.desired.leftOut.map(({ target, reason }) => `${target}: ${reason}`))
      const { problem } = event
      if (problem !== undefined && problem !== this.#problem)
        this.#logger.warn({ problem }, 'Part of the list of images cannot be read')
      this.#problem = problem
    } else if (event.what === 'found') this.#found(event.finding)
    else if (event.what === 'passed')
      this.#logger.info({ images: event.images, seconds: seconds(event.milliseconds) }, 'Compared all images')
    else this.#logger.error({ err: event.error }, 'The pass over all images failed')
  }

  readonly lease = (change: LeaseChange): void => {
    if (change.what === 'acquired') this.#logger.info('successfully acquired lease')
    else if (change.what === 'lost')
      this.#logger.warn('The lease is lost: this replica writes nothing until it has it again')
    else this.#logger.warn({ err: change.error }, 'The lease cannot be read or renewed')
  }

  #ignore(reasons: readonly string[]): void {
    for (const reason of reasons)
      if (!this.#ignored.has(reason)) this.#logger.info({ reason }, 'Ignored source')
    this.#ignored = new Set(reasons)
  }

  #found(finding: Finding): void {
    const { image, state } = finding
    const fields = { target: image.target, source: formatReference(image.source) }
    if (state === 'same') this.#logger.trace(fields, 'Image already in sync, skipping')
    else if (state === 'different') {
      const { digest, replaced, isStale } = finding
      this.#logger.info({ ...fields, digest, replaced, stale: isStale }, 'Image needs sync')
    } else if (state === 'left out')
      this.#logger.debug({ ...fields, reason: finding.reason }, 'The image is left out')
    else if (state === 'missing') this.#logger.debug(fields, 'Source image does not exist, skipping mirror')
    else this.#logger.debug({ ...fields, reason: finding.reason }, 'The image cannot be compared')
  }

  #unsuitable({ image, form, reason }: Extract<MirrorEvent, { what: 'unsuitable' }>): void {
    const fields = { target: image.target, source: formatReference(image.source), reason }
    this.#logger.info(fields, `Skip mirroring image with ${form}`)
  }

  #failed(
    { target, source, destination, state, failures, lastError }: CopyStatus,
    milliseconds: number,
  ): void {
    const fields = { target, source, destination, failures, error: lastError }
    // The operators' handbook describes this line and its fields.
    this.#logger.debug(
      { args: `image mirror ${source} ${destination}`, error: lastError },
      'Running command failed.',
    )
    if (state === 'dead') this.#logger.warn(fields, 'Failed to mirror even with retries')
    else this.#logger.info({ ...fields, seconds: seconds(milliseconds) }, 'Failed to mirror')
  }
}

const seconds = (milliseconds: number): number => Math.round(milliseconds) / 1000
