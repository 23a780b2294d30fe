/**
 * Explains one image in words: whether QCI has it as configured, and if not, why.
 */
import { nearestOf } from './nearest.ts'
import type { ImageStatus } from './image-book.ts'
import { printable } from '../printable.ts'

export interface Explanation {
  readonly target: string
  readonly source: string
  readonly destination: string
  readonly owner: string
  readonly state: string
  /** A sentence. */
  readonly explanation: string
  readonly digest: string | null
  /** Times in the format of RFC 3339. */
  readonly compared_at: string | null
  readonly differs_since: string | null
  readonly copied_at: string | null
  readonly failures: number
  readonly last_error: string
  readonly next_try_at: string | null
}

/** @param epochOf milliseconds of the clock of the queue -> milliseconds since the epoch */
export const explain = (status: ImageStatus, epochOf: (at: number) => number): Explanation => {
  const { target, source, destination, owner, state, digest, comparedAt, differsSince, copiedAt, copy } =
    status
  const nextTryAt = copy?.nextTryAt === undefined ? undefined : epochOf(copy.nextTryAt)
  return {
    target,
    source,
    destination,
    owner,
    state,
    explanation: sentenceOf(status, timeOf(nextTryAt)),
    digest: digest ?? null,
    compared_at: timeOf(comparedAt),
    differs_since: timeOf(differsSince),
    copied_at: timeOf(copiedAt),
    failures: copy?.failures ?? 0,
    last_error: copy?.lastError ?? '',
    next_try_at: timeOf(nextTryAt),
  }
}

/** The answer for a target that is not in the list: a sentence. */
export const notListed = (
  target: string,
  images: readonly Pick<ImageStatus, 'target'>[],
  /** The reason of the watch of all ImageStreams: a sentence without its full stop. */
  verdict?: string,
): string => {
  const nearest = nearestOf(
    target,
    images.map((image) => image.target),
  )
  const guess = nearest === undefined ? '' : `; did you mean ${nearest}?`
  const shown = printable(target.slice(0, 300))
  const watched =
    verdict === undefined ? '' : `; the watch of all ImageStreams has no image of it: ${printable(verdict)}`
  return `${shown} is not in the configuration, and no pattern of artImages matches it${watched}${guess}`
}

const timeOf = (milliseconds: number | undefined): string | null =>
  milliseconds === undefined ? null : new Date(milliseconds).toISOString()

const sentenceOf = (status: ImageStatus, nextTry: string | null): string =>
  sentences[status.state]({ ...status, nextTry, lastError: status.copy?.lastError, tries: triesOf(status) })

const triesOf = ({ copy }: ImageStatus): string => {
  const failures = copy?.failures ?? 0
  return failures === 1 ? 'one failure' : `${failures} failures`
}

interface Facts extends Pick<ImageStatus, 'source' | 'destination' | 'reason'> {
  readonly nextTry: string | null
  readonly lastError: string | undefined
  readonly tries: string
}

const sentences: Readonly<Record<ImageStatus['state'], (facts: Facts) => string>> = {
  'not compared yet': ({ source, destination }) =>
    `It is listed. The next pass compares ${source} with ${destination}.`,
  same: ({ source, destination }) => `${destination} is the image of ${source}.`,
  different: ({ source, destination }) =>
    `${destination} differs from ${source}. This program copies nothing: it is a dry run.`,
  waiting: ({ source, destination }) =>
    `${destination} differs from ${source}, and waits for its turn to be copied.`,
  copying: ({ source }) => `${source} is being copied.`,
  'backing off': ({ nextTry, tries, lastError }) =>
    `The copy is tried again at ${nextTry}, after ${tries}: ${lastError}.`,
  dead: ({ tries, lastError }) =>
    `The copy is not tried any more after ${tries}: ${lastError}. When that is mended, sync the image.`,
  missing: ({ source }) => `The source does not exist: ${source}.`,
  unreadable: ({ reason }) => `The two sides cannot be compared: ${reason}.`,
  'left out': ({ reason }) => `It is left out: ${reason}.`,
}
