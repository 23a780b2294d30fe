/**
 * Requests that a client sends before it has the answers to those before them (RFC 9112, section 9.3.2). No client of a registry
 * does. They are served in turn: a connection has one request in progress, whatever it sends.
 *
 * Attack: thousands of requests in one packet, each of which would begin its questions to app.ci and to upstream at once, and
 * which Node goes on reading for as long as none has an answer to wait with. And where such a client leaves, Node tells nobody of
 * the answers that had not begun: what was begun for them would never be ended.
 */
import type { onRequestHookHandler } from 'fastify'
import type { Socket } from 'node:net'

export interface PipeliningOptions {
  /** Requests of one connection that wait for their turn; beyond them the connection is cut. */
  readonly maxPipelined: number
  /** Called for each connection that is cut, before it is. */
  readonly onConnectionCut: (socket: Socket) => void
}

/** A hook for `onRequest`, to be the first. Where the client leaves before its turn, nothing comes after it. */
export const inTurn = ({ maxPipelined, onConnectionCut }: PipeliningOptions): onRequestHookHandler => {
  const waiting = new WeakMap<Socket, number>()
  return (request, reply, done) => {
    // An answer has its socket once those before it are through.
    if (reply.raw.socket !== null) {
      done()
      return
    }
    const { socket } = request.raw
    // The packet that holds one request too many is parsed to its end all the same.
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
