/**
 * One connection to one origin, one GET at a time.
 */
import type { Body } from '../body.ts'
import { createHeadReceiver, StaleConnection } from './head-receiver.ts'
import type { Head, ReadHead } from './head.ts'
import { createLine } from './line.ts'
import type { Origin } from './origin.ts'
import { createStreamedBody } from './streamed-body.ts'

export interface Answer extends Pick<Head, 'statusCode' | 'headers'> {
  readonly body: Body
}

export interface Connection {
  /**
   * @param head of the request, whole
   * @throws {StaleConnection} {UnusualAnswer} and whatever else ends a connection, which is closed then
   */
  readonly ask: (head: string, signal?: AbortSignal) => Promise<Answer>
  readonly close: () => void
}

export interface ConnectionEvents {
  /** Ready for the next request. */
  readonly onIdle: () => void
  /** Once, when its socket is gone. */
  readonly onClosed: () => void
}

export const createConnection = (origin: Origin, { onIdle, onClosed }: ConnectionEvents): Connection => {
  const { timeouts, slabs, now } = origin
  const line = createLine(origin, onClosed)
  let answers = 0

  const done = (isReusable: boolean): void => {
    line.readFor(undefined)
    answers++
    if (!isReusable) return line.close()
    line.resume(timeouts.idle)
    return onIdle()
  }
  const readBody = (head: ReadHead, rest: Buffer, signal: AbortSignal | undefined) => {
    const { contentLength, isLast } = head
    const connection = {
      pause: line.pause,
      resume: () => line.resume(timeouts.body),
      done: (isClean: boolean) => done(isClean && !isLast),
      close: line.close,
    }
    const { body, receiver, begin } = createStreamedBody({ slabs, now, signal, contentLength, connection })
    line.readFor(receiver)
    return { body, goesOn: begin(rest) }
  }
  const ask: Connection['ask'] = async (text, signal) =>
    await new Promise((resolve, reject) => {
      const refuse = (error: unknown): void => {
        reject(error)
        line.close()
      }
      if (line.isClosed()) return refuse(new StaleConnection('closed already'))
      if (signal?.aborted === true) return refuse(signal.reason)
      const waiting = createHeadReceiver({
        memory: line.memory,
        isReused: answers > 0,
        signal,
        onHead: (head, rest) => {
          const { body, goesOn } = readBody(head, rest, signal)
          resolve({ statusCode: head.statusCode, headers: head.headers, body })
          return goesOn
        },
        onFailed: refuse,
      })
      line.readFor(waiting)
      line.write(text)
      waiting.limit(timeouts.connect)
      return line.whenOpen(() => waiting.limit(timeouts.head))
    })
  return { ask, close: line.close }
}
