/**
 * Waiting for the head of an answer: with a limit for the connection, then for the head, and an end when nobody waits any more.
 */
import { createHeadParser, UnusualAnswer, type ReadHead } from './head.ts'
import type { Receiver } from './receiver.ts'

/** An idle connection that upstream closed while the request was on its way: a GET may be asked again. */
export class StaleConnection extends Error {
  override readonly name = 'StaleConnection'
}

export interface HeadReceiverOptions {
  readonly memory: Buffer
  readonly isReused: boolean
  readonly signal?: AbortSignal | undefined
  /** `rest` came with the head; tells whether to go on reading. */
  readonly onHead: (head: ReadHead, rest: Buffer) => boolean
  /** Once, and not after `onHead`; the connection is to be closed. */
  readonly onFailed: (error: unknown) => void
}

export interface HeadReceiver extends Receiver {
  /** The next wait may last so many milliseconds. */
  readonly limit: (ms: number) => void
}

export const createHeadReceiver = (options: HeadReceiverOptions): HeadReceiver => {
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
        if (!(error instanceof UnusualAnswer)) throw error
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
