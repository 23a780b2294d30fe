/**
 * Clients that do not read their response: half-open connections, and clients that hold an upstream connection and memory on purpose.
 *
 * A client is judged by the bytes that the kernel has taken for it, not by an inactivity timer: a slow upstream is not the client's
 * fault, and bytes that a client sends are no bytes that it reads. All connections are checked periodically, so that no request pays for
 * it.
 */
import type { Server, Socket } from 'node:net'

export interface StalledClientsOptions {
  /** Milliseconds in which a client with waiting bytes has to read `minBytes`. */
  readonly stallMs: number
  /** Attack: reading one byte from time to time. */
  readonly minBytes: number
  /** Milliseconds between two checks: a client is cut so much later at most. */
  readonly sweepMs: number
  /** Called for each client before it is cut. */
  readonly onConnectionCut: (socket: Socket) => void
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** The position of a client at an earlier check, since which bytes have waited for it. */
interface Mark {
  readonly taken: number
  readonly at: number
}

/** For the lifetime of the server. With TLS, the TCP connection below is checked and cut. */
export const cutStalledClients = (server: Server, options: StalledClientsOptions): void => {
  const { stallMs, minBytes, sweepMs, onConnectionCut, now = () => performance.now() } = options
  const marks = new Map<Socket, Mark | undefined>()
  server.on('connection', (socket: Socket) => {
    marks.set(socket, undefined)
    socket.once('close', () => marks.delete(socket))
  })

  const look = (socket: Socket, mark: Mark | undefined): void => {
    const { waiting, taken } = sendingOf(socket)
    if (waiting === 0) marks.set(socket, undefined)
    else if (mark === undefined || taken - mark.taken >= minBytes) marks.set(socket, { taken, at: now() })
    else if (now() - mark.at >= stallMs) {
      onConnectionCut(socket)
      // A reset, because the kernel would retry a normal close for minutes.
      socket.resetAndDestroy()
    }
  }
  const sweep = setInterval(() => {
    for (const [socket, mark] of marks) look(socket, mark)
  }, sweepMs).unref()
  server.once('close', () => clearInterval(sweep))
}

/**
 * Bytes that the kernel has not taken yet, and bytes that it has. Node has no public name for either: `bytesWritten` of a socket includes
 * waiting bytes, and `writableLength` falls only when a whole write of megabytes is complete. Node's own inactivity timers read the same
 * two numbers.
 */
const sendingOf = (socket: Socket): { waiting: number; taken: number } => {
  const { _handle: handle } = socket as unknown as { _handle: Handle | null }
  if (handle === null) return { waiting: 0, taken: 0 }
  return { waiting: handle.writeQueueSize, taken: handle.bytesWritten - handle.writeQueueSize }
}

interface Handle {
  /** Bytes passed to the handle, waiting ones included. */
  readonly bytesWritten: number
  readonly writeQueueSize: number
}
