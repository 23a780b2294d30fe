/**
 * Waiting for the head of an answer: with a limit for the connection, then for the head, and an end when nobody waits any more.
 */
import { createHeadParser, UnsupportedResponse, type ReadHead } from './response-head.ts'
import type { Reader } from './reader.ts'

/** An idle connection that upstream closed while the request was on its way: a GET may be asked again. */
export class StaleConnection extends Error {
  override readonly name = 'StaleConnection'
}

export interface ResponseHeadReaderOptions {
  readonly memory: Buffer
  readonly isReused: boolean
  readonly signal?: AbortSignal | undefined
  /** `rest` came with the head; tells whether to go on reading. */
  readonly onHead: (head: ReadHead, rest: Buffer) => boolean
  /** Once, and not after `onHead`; the connection is to be closed. */
  readonly onFailed: (error: unknown) => void
}

export interface ResponseHeadReader extends Reader {
  /** The next wait may last so many milliseconds. */
  readonly limit: (ms: number) => void
}

export const createResponseHeadReader = (options: ResponseHeadReaderOptions): ResponseHeadReader => {
  const { memory, isReused, signal, onHead, onFailed } = options
  const parse = createHeadParser()
  let hasBytes = false
  let isDone = false
  let timer: NodeJS.Timeout | undefined
  const end = (): void => {
    isDone = true
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
  const fail = (error: unknown): void => {
    if (isDone) return
    end()
    onFailed(error)
  }
  const abort = (): void => fail(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  return {
    room: () => memory,
    received: (bytes) => {
      hasBytes = true
      try {
        const head = parse(memory.subarray(0, bytes))
        if (head === undefined) return true
        end()
        return onHead(head, memory.subarray(head.bodyAt, bytes))
      } catch (error) {
        if (!(error instanceof UnsupportedResponse)) throw error
        fail(error)
        return false
      }
    },
    stalled: () => undefined,
    lost: (error) => fail(isReused && !hasBytes ? new StaleConnection('closed', { cause: error }) : error),
    limit: (ms) => {
      if (isDone) return
      clearTimeout(timer)
      timer = setTimeout(() => fail(new DOMException('no answer', 'TimeoutError')), ms)
    },
  }
}
