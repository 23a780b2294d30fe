/**
 * One connection to one origin, one GET at a time.
 */
import { createResponseHeadReader, StaleConnection } from './response-head-reader.ts'
import type { Head, ReadHead } from './response-head.ts'
import { createOriginSocket } from './socket.ts'
import type { Origin } from './origin.ts'
import { createStreamedBody } from './body.ts'
import type { Body } from '../request.ts'

export interface Http1Response extends Pick<Head, 'statusCode' | 'headers'> {
  readonly body: Body
}

export interface Connection {
  /**
   * @param head of the request, whole
   * @throws {StaleConnection} {UnsupportedResponse} and whatever else ends a connection, which is closed then
   */
  readonly send: (head: string, signal?: AbortSignal) => Promise<Http1Response>
  readonly close: () => void
}

export interface ConnectionEvents {
  /** Ready for the next request. */
  readonly onIdle: () => void
  /** Once, when its socket is gone. */
  readonly onClosed: () => void
}

export const createConnection = (origin: Origin, { onIdle, onClosed }: ConnectionEvents): Connection => {
  const { timeouts, bufferPool, now } = origin
  const line = createOriginSocket(origin, onClosed)
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
    const { body, receiver, begin } = createStreamedBody({
      bufferPool,
      now,
      signal,
      contentLength,
      connection,
    })
    line.readFor(receiver)
    return { body, goesOn: begin(rest) }
  }
  const send: Connection['send'] = async (text, signal) =>
    await new Promise((resolve, reject) => {
      const refuse = (error: unknown): void => {
        reject(error)
        line.close()
      }
      if (line.isClosed()) return refuse(new StaleConnection('closed already'))
      if (signal?.aborted === true) return refuse(signal.reason)
      const waiting = createResponseHeadReader({
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
  return { send, close: line.close }
}
