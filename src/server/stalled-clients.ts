/**
 * Clients that take nothing of their answer: half-open ones, and those that mean to hold what is theirs alone meanwhile, a place
 * among the connections to upstream and the memory of the pieces on their way.
 *
 * Judged by what the kernel has taken for them, and not by a timer of inactivity: a slow upstream is not the client's fault, and
 * bytes that a client sends are not bytes that it takes. Looked at from time to time, so that no request pays for it.
 */
import type { Server, Socket } from 'node:net'

export interface StalledClientsOptions {
  /** Milliseconds in which a client with bytes waiting for it has to take `minBytes`. */
  readonly stallMs: number
  /** Attack: a byte now and then, to be taken for somebody who reads. */
  readonly minBytes: number
  /** Milliseconds between two looks: so much later than promised a client is cut at most. */
  readonly sweepMs: number
  /** Called for each client that is cut, before it is. */
  readonly onConnectionCut: (socket: Socket) => void
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Where a client was, and when, that has had bytes waiting for it ever since. */
interface Mark {
  readonly taken: number
  readonly at: number
}

/** For as long as the server is open. Under TLS it is the connection below that is looked at, and cut. */
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
      // Not a mere close: the kernel would go on offering what it holds for minutes.
      socket.resetAndDestroy()
    }
  }
  const sweep = setInterval(() => {
    for (const [socket, mark] of marks) look(socket, mark)
  }, sweepMs).unref()
  server.once('close', () => clearInterval(sweep))
}

/**
 * Bytes that the kernel has not taken yet, and those it has. Node has no public name for either: `bytesWritten` of a socket counts
 * what waits as well, and its `writableLength` falls only when the whole of a write of megabytes is through. Node's own timers of
 * inactivity look at the same two numbers.
 */
const sendingOf = (socket: Socket): { waiting: number; taken: number } => {
  const { _handle: handle } = socket as unknown as { _handle: Handle | null }
  if (handle === null) return { waiting: 0, taken: 0 }
  return { waiting: handle.writeQueueSize, taken: handle.bytesWritten - handle.writeQueueSize }
}

interface Handle {
  /** Handed over to be written, what waits included. */
  readonly bytesWritten: number
  readonly writeQueueSize: number
}
