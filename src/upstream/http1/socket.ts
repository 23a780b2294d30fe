/**
 * A socket, and the reader that gets its bytes now.
 */
import type { Socket } from 'node:net'
import { isTls, openSocket, type Origin } from './origin.ts'
import type { Reader } from './reader.ts'

/** Most heads, signed URLs included, fit into one read. An idle connection holds no other memory. */
const headBytes = 4096

export class OriginSocket {
  /** Where heads are read into. */
  readonly memory = Buffer.allocUnsafeSlow(headBytes)
  readonly #socket: Socket
  readonly #openEvent: 'connect' | 'secureConnect'
  #isOpen = false

  readonly #nobody: Reader = {
    room: () => this.memory,
    // Attack: unrequested bytes would be read as the response to the next request (response splitting).
    received: () => {
      this.close()
      return false
    },
    stalled: () => this.close(),
    lost: () => undefined,
  }
  #reader: Reader = this.#nobody

  constructor(origin: Origin, onClosed: () => void) {
    this.#openEvent = isTls(origin) ? 'secureConnect' : 'connect'
    this.#socket = openSocket(origin, {
      buffer: () => this.#reader.room(),
      callback: (bytes: number) => this.#reader.received(bytes),
    })
      .on('error', (error) => this.#lose(error))
      .on('end', () => this.close())
      .on('timeout', () => this.#reader.stalled())
      .once(this.#openEvent, () => {
        this.#isOpen = true
      })
      .once('close', () => {
        this.close()
        onClosed()
      })
  }

  /** With `undefined` nobody reads, and the socket is closed when it times out. */
  readFor(reader: Reader | undefined): void {
    this.#reader = reader ?? this.#nobody
  }

  write(text: string): void {
    this.#socket.write(text, 'latin1')
  }

  pause(): void {
    this.#socket.pause()
  }

  /** Continues reading. The reader is notified if no byte comes for so many milliseconds. */
  resume(stallMs: number): void {
    this.#socket.setTimeout(stallMs).resume()
  }

  /** Calls at once if the socket is connected, or else as soon as it is, TLS included. */
  whenOpen(call: () => void): void {
    if (this.#isOpen) call()
    else this.#socket.once(this.#openEvent, call)
  }

  isClosed(): boolean {
    return this.#socket.destroyed
  }

  close(): void {
    this.#lose(new Error('the connection was closed'))
  }

  #lose(error: Error): void {
    const reader = this.#reader
    this.#reader = this.#nobody
    this.#socket.destroy()
    reader.lost(error)
  }
}
