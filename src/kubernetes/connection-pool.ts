/**
 * One connection pool for all reviews. client-node creates one for every request, which costs a TLS handshake each time.
 */
import type { RequestContext } from '@kubernetes/client-node'

export type Dispatcher = NonNullable<ReturnType<RequestContext['getDispatcher']>>

export interface ConnectionPool {
  /** The pool in use. It is replaced by the offered one if it is too old. */
  readonly adopt: (offered: Dispatcher | undefined) => Dispatcher
  /** Takes the next offered pool, because the proxy may have another client certificate now. */
  readonly renew: () => void
  readonly close: () => Promise<void>
}

/** How long one pool is used: then a renewed CA bundle or client certificate takes effect. */
const lifeMs = 10 * 60_000

export const createConnectionPool = (): ConnectionPool => {
  let current: Dispatcher | undefined
  let since = -Infinity
  return {
    adopt: (offered) => {
      if (current !== undefined && performance.now() - since < lifeMs) return current
      if (offered === undefined) throw new Error('client-node returned no connection pool')
      void current?.close()
      current = offered
      since = performance.now()
      return current
    },
    renew: () => {
      since = -Infinity
    },
    close: async () => {
      await current?.destroy()
    },
  }
}
