/**
 * What Node has no public name for, of the connection that a request came on.
 */
import type { Socket } from 'node:net'

/** The TCP connection: under TLS the one below, otherwise the socket itself. */
export const rawSocketOf = (socket: Socket): Socket => {
  const { _parent: parent } = socket as Socket & { readonly _parent?: Socket | null }
  return parent ?? socket
}

/** Whether a request on it has not got the whole of its answer. Node's own `closeIdleConnections` looks at the same. */
export const hasRequest = (socket: Socket): boolean => {
  const { _httpMessage: answer } = socket as Socket & { readonly _httpMessage?: object | null }
  return answer !== undefined && answer !== null
}
