/**
 * client-node builds a connection pool for every request. Keeping one saves a TLS handshake per review.
 */
import type { RequestContext } from '@kubernetes/client-node'

export type Dispatcher = NonNullable<ReturnType<RequestContext['getDispatcher']>>

export interface ConnectionPool {
  /** The pool that is in use: the one offered, where that of before is too old or there is none. */
  readonly adopt: (offered: Dispatcher | undefined) => Dispatcher
  /** The next one offered is taken: whoever we are, it may be by another certificate. */
  readonly renew: () => void
  readonly close: () => Promise<void>
}

/** How long one is kept: then a renewed CA bundle or client certificate takes effect. */
const lifeMs = 10 * 60_000

export const createConnectionPool = (): ConnectionPool => {
  let kept: Dispatcher | undefined
  let keptSince = -Infinity
  return {
    adopt: (offered) => {
      if (kept !== undefined && Date.now() - keptSince < lifeMs) return kept
      if (offered === undefined) throw new Error('the kubeconfig gives no connection')
      void kept?.close()
      kept = offered
      keptSince = Date.now()
      return kept
    },
    renew: () => {
      keptSince = -Infinity
    },
    close: async () => {
      await kept?.destroy()
    },
  }
}
