/**
 * One connection to one origin, one GET at a time.
 */
import { createResponseHeadReader, StaleConnection } from './response-head-reader.ts'
import type { Head, ReadHead } from './response-head.ts'
import { OriginSocket } from './socket.ts'
import type { Origin } from './origin.ts'
import { StreamedBody } from './body.ts'
import type { Body } from '../../oci/image-source.ts'

export interface Http1Response extends Pick<Head, 'statusCode' | 'headers'> {
  readonly body: Body
}

export interface Connection {
  /**
   * @param head the whole head of the request
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

export const createConnection = (origin: Origin, events: ConnectionEvents): Connection =>
  new OriginConnection(origin, events)

class OriginConnection implements Connection {
  readonly #origin: Origin
  readonly #events: ConnectionEvents
  readonly #socket: OriginSocket
  #responses = 0

  constructor(origin: Origin, events: ConnectionEvents) {
    this.#origin = origin
    this.#events = events
    this.#socket = new OriginSocket(origin, events.onClosed)
  }

  async send(text: string, signal?: AbortSignal): Promise<Http1Response> {
    const { promise, resolve, reject } = Promise.withResolvers<Http1Response>()
    const onFailed = (error: unknown): void => {
      reject(error)
      this.#socket.close()
    }
    if (this.#socket.isClosed()) onFailed(new StaleConnection('closed already'))
    else if (signal?.aborted === true) onFailed(signal.reason)
    else this.#exchange(text, signal, resolve, onFailed)
    return await promise
  }

  close(): void {
    this.#socket.close()
  }

  #exchange(
    text: string,
    signal: AbortSignal | undefined,
    onResponse: (response: Http1Response) => void,
    onFailed: (error: unknown) => void,
  ): void {
    const { timeouts } = this.#origin
    const reader = createResponseHeadReader({
      memory: this.#socket.memory,
      isReused: this.#responses > 0,
      signal,
      onHead: (head, rest) => {
        const body = this.#readBody(head, signal)
        const goesOn = body.begin(rest)
        onResponse({ statusCode: head.statusCode, headers: head.headers, body })
        return goesOn
      },
      onFailed,
    })
    this.#socket.readFor(reader)
    this.#socket.write(text)
    reader.limit(timeouts.connect)
    this.#socket.whenOpen(() => reader.limit(timeouts.head))
  }

  #readBody({ contentLength, isLast }: ReadHead, signal: AbortSignal | undefined): StreamedBody {
    const { bufferPool, timeouts, now } = this.#origin
    const socket = this.#socket
    const connection = {
      pause: () => socket.pause(),
      resume: () => socket.resume(timeouts.body),
      done: (isClean: boolean) => this.#done(isClean && !isLast),
      close: () => socket.close(),
    }
    const body = new StreamedBody({ bufferPool, now, signal, contentLength, connection })
    socket.readFor(body)
    return body
  }

  #done(isReusable: boolean): void {
    this.#socket.readFor(undefined)
    this.#responses++
    if (!isReusable) return this.#socket.close()
    this.#socket.resume(this.#origin.timeouts.idle)
    return this.#events.onIdle()
  }
}
