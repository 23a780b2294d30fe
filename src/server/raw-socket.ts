/**
 * Fields of Node's sockets that have no public name.
 */
import type { Socket } from 'node:net'

/** The TCP connection: below TLS, or the socket itself. */
export const rawSocketOf = (socket: Socket): Socket => {
  const { _parent: parent } = socket as Socket & { readonly _parent?: Socket | null }
  return parent ?? socket
}

/** Whether a response on this socket is incomplete. Node's own `closeIdleConnections` reads the same field. */
export const hasRequest = (socket: Socket): boolean => {
  const { _httpMessage: answer } = socket as Socket & { readonly _httpMessage?: object | null }
  return answer !== undefined && answer !== null
}
