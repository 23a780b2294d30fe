/**
 * Pipelined requests (RFC 9112, section 9.3.2): a client sends them before it has the responses to earlier ones. No registry client does.
 * They are served in order: a connection has one request in progress.
 *
 * Attack: thousands of requests in one packet. Each would start reviews and upstream requests at once, and Node keeps reading while no
 * response waits. If the client disconnects, Node emits no event for responses that have not begun, so their work would never end.
 */
import type { onRequestHookHandler } from 'fastify'
import type { Socket } from 'node:net'

export interface PipeliningOptions {
  /** Requests that may wait on one connection; one more and the connection is cut. */
  readonly maxPipelined: number
  /** Called for each connection before it is cut. */
  readonly onConnectionCut: (socket: Socket) => void
}

/** Must be the first `onRequest` hook. If the client disconnects during the wait, no later hook runs. */
export const inTurn = ({ maxPipelined, onConnectionCut }: PipeliningOptions): onRequestHookHandler => {
  const waiting = new WeakMap<Socket, number>()
  return (request, reply, done) => {
    // A response gets its socket when all earlier responses are complete.
    if (reply.raw.socket !== null) {
      done()
      return
    }
    const { socket } = request.raw
    // Node parses the packet to its end all the same.
    if (socket.destroyed) return
    const before = waiting.get(socket) ?? 0
    if (before >= maxPipelined) {
      onConnectionCut(socket)
      socket.destroy()
      return
    }
    waiting.set(socket, before + 1)
    reply.raw.once('socket', () => {
      waiting.set(socket, (waiting.get(socket) as number) - 1)
      done()
    })
  }
}
