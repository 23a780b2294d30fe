/**
 * Reads and checks the answers of the mirror, within a size limit and a deadline. Other answers become errors: 502 for unexpected content,
 * 503 for a mirror that cannot be reached, 504 for a slow one.
 */
import type { Readable } from 'node:stream'
import { RegistryError, timedOut, unavailable } from '../../oci/errors.ts'
import { parseAnswer } from '../../oci/json-bounds.ts'
import { printableAscii } from '../../oci/printable.ts'

/** An image in the queue. Further fields are passed on unread. */
export interface MirrorTask {
  readonly target: string
  readonly source: string
  readonly owner: string
  readonly state: string
  readonly failures: number
  readonly last_error: string
}

export interface MirrorQueue {
  /** Null for an empty list, as Go writes it. */
  readonly mirrors: readonly MirrorTask[] | null
  /** The number of images in the whole queue. */
  readonly total: number
}

export interface MirroredImage {
  readonly target: string
  readonly state: string
  /** A sentence. */
  readonly explanation: string
  readonly [field: string]: unknown
}

export interface RawAnswer {
  readonly status: number
  readonly body: Buffer
}

/** Enough for 1000 images of the queue with their errors. */
const maxBytes = 2 * 1024 * 1024
/** Characters of a sentence. */
const maxText = 1000

/** @param signal ends the wait. @throws {RegistryError} 502 for too many bytes; the error of the stream; the reason of the signal */
export const readBody = async (stream: Readable, signal: AbortSignal): Promise<Buffer> => {
  const chunks: Buffer[] = []
  let bytes = 0
  const end = (): void => void stream.destroy(signal.reason as Error)
  signal.addEventListener('abort', end, { once: true })
  try {
    signal.throwIfAborted()
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > maxBytes) throw badAnswer('it is too large')
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/** Errors of a request to the mirror, for the client. */
export const failureOfMirror = (error: unknown): RegistryError => {
  if (error instanceof RegistryError) return error
  const { name, code = '', cause } = error as Error & { readonly code?: string }
  const causeCode = (cause as { readonly code?: string } | undefined)?.code ?? ''
  if (name === 'TimeoutError' || [code, causeCode].some((text) => /TIMEOUT/.test(text)))
    return timedOut('the mirror is too slow; try again in a moment', error)
  return unavailable('the mirror cannot be reached; try again in a moment', error)
}

/** @throws {RegistryError} 502 */
export const queueIn = ({ status, body }: RawAnswer): MirrorQueue => {
  if (status !== 200) throw badAnswer(`it answered ${status}`)
  const answer = parse(body)
  if (isQueue(answer)) return answer
  throw badAnswer('it has not the form of a queue')
}

/**
 * @param isWhole whether the requester may see the names of other images
 * @throws {RegistryError} 404 for an image that is not listed, 409 if the mirror refuses to copy it now, 502
 */
export const imageIn = ({ status, body }: RawAnswer, target: string, isWhole: boolean): MirroredImage => {
  // Attack: the message of the mirror names a similar image, which may belong to another team.
  if (status === 404)
    throw new RegistryError(
      'NAME_UNKNOWN',
      isWhole ? sentenceIn(body) : `${target} is not in the configuration of the mirror`,
    )
  if (status === 409) throw new RegistryError('UNSUPPORTED', sentenceIn(body), { status: 409 })
  if (status !== 200 && status !== 202) throw badAnswer(`it answered ${status}`)
  const answer = parse(body)
  if (isImage(answer) && answer.target === target) return answer
  throw badAnswer('it has not the form of an image')
}

const badAnswer = (what: string): RegistryError =>
  new RegistryError('UNAVAILABLE', `the answer of the mirror cannot be used: ${what}`, { status: 502 })

const sentenceIn = (body: Buffer): string => printableAscii(body.toString().trim().slice(0, maxText))

const parse = (body: Buffer): unknown => {
  try {
    return parseAnswer(body)
  } catch {
    return undefined
  }
}

type Fields = Readonly<Record<string, unknown>>

const isQueue = (answer: unknown): answer is MirrorQueue => {
  const { mirrors, total } = fieldsOf(answer)
  return (
    Number.isSafeInteger(total) && (mirrors === null || (Array.isArray(mirrors) && mirrors.every(isTask)))
  )
}

const isTask = (task: unknown): task is MirrorTask => {
  const { target, source, owner, state, failures, last_error: lastError } = fieldsOf(task)
  return areTexts([target, source, owner, state, lastError]) && Number.isSafeInteger(failures)
}

const isImage = (answer: unknown): answer is MirroredImage => {
  const { target, state, explanation } = fieldsOf(answer)
  return areTexts([target, state, explanation])
}

const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {}

const areTexts = (values: readonly unknown[]): boolean => values.every((value) => typeof value === 'string')
