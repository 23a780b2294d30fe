/**
 * A socket and the one it is read for at the moment.
 */
import { isTls, openSocket, type Origin } from './origin.ts'
import type { Reader } from './reader.ts'

export interface OriginSocket {
  /** Nobody is read for with `undefined`; `idleMs` later the line is closed. */
  readonly readFor: (receiver: Reader | undefined) => void
  readonly write: (text: string) => void
  readonly pause: () => void
  /** Reads on; who is read for is told when nothing comes for so many milliseconds. */
  readonly resume: (stallMs: number) => void
  /** Calls at once where the socket is connected, else as soon as it is, TLS included. */
  readonly whenOpen: (call: () => void) => void
  readonly isClosed: () => boolean
  readonly close: () => void
}

/** Most heads, signed URLs included, are read at once; and it is all the memory that an idle connection holds. */
const memoryBytes = 4096

/** `memory` is where heads are read into. */
export const createOriginSocket = (
  origin: Origin,
  onClosed: () => void,
): OriginSocket & { readonly memory: Buffer } => {
  const memory = Buffer.allocUnsafeSlow(memoryBytes)
  let isOpen = false
  const lose = (error: Error): void => {
    const reader = receiver
    receiver = nobody
    socket.destroy()
    reader.lost(error)
  }
  const close = (): void => lose(new Error('the connection was closed'))
  const nobody: Reader = {
    room: () => memory,
    // Attack: bytes that nobody asked for would be read as the answer to the next request (response splitting).
    received: () => {
      close()
      return false
    },
    stalled: close,
    lost: () => undefined,
  }
  let receiver = nobody
  const socket = openSocket(origin, {
    buffer: () => receiver.room(),
    callback: (bytes: number) => receiver.received(bytes),
  })
  const opened = isTls(origin) ? 'secureConnect' : 'connect'
  socket
    .on('error', lose)
    .on('end', close)
    .on('timeout', () => receiver.stalled())
    .once(opened, () => {
      isOpen = true
    })
    .once('close', () => {
      close()
      onClosed()
    })
  return {
    memory,
    readFor: (next) => {
      receiver = next ?? nobody
    },
    write: (text) => void socket.write(text, 'latin1'),
    pause: () => void socket.pause(),
    resume: (stallMs) => void socket.setTimeout(stallMs).resume(),
    whenOpen: (call) => (isOpen ? call() : void socket.once(opened, call)),
    isClosed: () => socket.destroyed,
    close,
  }
}
