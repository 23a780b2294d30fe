/**
 * Reads the head of a response: with a time limit for the connection, then for the head. It ends early if the caller leaves.
 */
import { onAbort } from '../../concurrency/abortable.ts'
import { createHeadParser, UnsupportedResponse, type ReadHead } from './response-head.ts'
import type { Reader } from './reader.ts'

/** Upstream closed an idle connection while the request was on its way. A GET may be sent again. */
export class StaleConnection extends Error {
  override readonly name = 'StaleConnection'
}

export interface ResponseHeadReaderOptions {
  readonly memory: Buffer
  readonly isReused: boolean
  readonly signal?: AbortSignal | undefined
  /** `rest` came with the head. @returns whether to read on */
  readonly onHead: (head: ReadHead, rest: Buffer) => boolean
  /** Called once, and not after `onHead`. The connection must be closed then. */
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
    listener?.[Symbol.dispose]()
  }
  const fail = (error: unknown): void => {
    if (isDone) return
    end()
    onFailed(error)
  }
  const listener = onAbort(signal, () => fail(signal?.reason))
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
