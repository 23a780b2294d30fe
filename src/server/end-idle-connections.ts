/**
 * Ends connections gently when the proxy stops, so that the client receives all that was sent.
 *
 * Node destroys a connection once the kernel has its last response, not once the client has it. When a pod stops, what the kernel still
 * holds is lost with the pod's network: megabytes of a blob for a slow client.
 */
import type { Server } from 'node:http'
import { Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'

/** Replaces `closeIdleConnections`, which Node also calls when the server closes. Must be called before the first connection. */
export const endIdleConnections = (server: Server): void => {
  const sockets = new Set<Socket>()
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.closeIdleConnections = () => {
    // The client reads to the end, and closes its own side.
    for (const socket of sockets) if (isIdle(socket)) socket.end()
  }
}

/**
 * Whether all responses of the connection are complete. A connection without any request is not idle: its first request may be on its
 * way. Node has no public name for the response in progress; its own `closeIdleConnections` reads the same field. Counting responses
 * would cost every request.
 */
const isIdle = (socket: Socket): boolean => {
  const { _httpMessage: answer } = socket as Socket & { readonly _httpMessage?: object | null }
  return (answer === undefined || answer === null) && socket.bytesRead > 0
}
