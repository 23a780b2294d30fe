/**
 * How connections end when the proxy stops: said to the client, and not cut, so that what it has been sent arrives.
 *
 * Node destroys a connection as soon as its last answer is written, which is when the kernel has it, and not when the client has. In
 * a pod that stops the kernel's part is lost with the network of the pod: megabytes of a blob, where the client is slow.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * For `closeIdleConnections`, which Node calls as well where the server is closed. To be called before anybody connects. As with
 * Node's own, a connection without a request so far is not idle: its first one may be on its way.
 */
export const endGently = (server: Server): void => {
  /** Answers in progress of each connection. */
  const answers = new Map<Socket, number>()
  server.on('request', ({ socket }, response) => {
    const before = answers.get(socket)
    if (before === undefined) socket.once('close', () => answers.delete(socket))
    answers.set(socket, (before ?? 0) + 1)
    response.once('close', () => {
      const inProgress = answers.get(socket)
      if (inProgress !== undefined) answers.set(socket, inProgress - 1)
    })
  })
  server.closeIdleConnections = () => {
    // A client that was told closes its own side when it has read to the end.
    for (const [socket, inProgress] of answers) if (inProgress === 0) socket.end()
  }
}
