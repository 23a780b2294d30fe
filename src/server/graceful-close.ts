/**
 * How connections end when the proxy stops: said to the client, and not cut, so that what it has been sent arrives.
 *
 * Node destroys a connection as soon as its last answer is written, which is when the kernel has it, and not when the client has. In
 * a pod that stops the kernel's part is lost with the network of the pod: megabytes of a blob, where the client is slow.
 */
import type { Server } from 'node:http'
import { Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'

/** For `closeIdleConnections`, which Node calls as well where the server is closed. To be called before anybody connects. */
export const closeGracefully = (server: Server): void => {
  const sockets = new Set<Socket>()
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.closeIdleConnections = () => {
    // A client that was told closes its own side when it has read to the end.
    for (const socket of sockets) if (isIdle(socket)) socket.end()
  }
}

/**
 * Whether its answers are through. As with Node's own, who has asked nothing yet is not idle: the first request may be on its way.
 * Node has no public name for the answer in progress; its own looks at the same. To count answers would be paid for by each request.
 */
const isIdle = (socket: Socket): boolean => {
  const { _httpMessage: answer } = socket as Socket & { readonly _httpMessage?: object | null }
  return (answer === undefined || answer === null) && socket.bytesRead > 0
}
