/**
 * The connections to one origin: bounded in number, the one used last is used again first, and who finds none waits in line.
 */
import { unavailable } from '../../oci/errors.ts'
import { PoolExhausted } from '../errors.ts'
import type { Connection, ConnectionEvents } from './connection.ts'

export interface ConnectionPoolOptions {
  readonly open: (events: ConnectionEvents) => Connection
  readonly maxConnections: number
  readonly maxWaiting: number
}

export interface ConnectionPool {
  /**
   * A connection that nobody else uses, until it is idle or closed.
   * @param isFresh not one that was idle: upstream may have closed all of those
   * @throws {PoolExhausted} when too many wait, or for too long; the signal's reason
   */
  readonly lease: (signal?: AbortSignal, isFresh?: boolean) => Promise<Connection>
  /** No connection is open, and nobody waits for one. */
  readonly isEmpty: () => boolean
  readonly close: () => void
}

interface Waiter {
  readonly give: (connection: Connection) => void
  readonly refuse: (error: unknown) => void
}

/** Time was up while others had the connections: upstream was not too slow, and is not to be taken for away. */
const isTimeout = (reason: unknown): boolean =>
  reason instanceof DOMException && reason.name === 'TimeoutError'

const shuttingDown = () => unavailable('the proxy is shutting down; try again in a moment')

export const createConnectionPool = ({
  open,
  maxConnections,
  maxWaiting,
}: ConnectionPoolOptions): ConnectionPool => {
  const all = new Set<Connection>()
  const idle: Connection[] = []
  const waiting = new Set<Waiter>()
  let isClosed = false

  const nextWaiter = (): Waiter | undefined => {
    const [waiter] = waiting
    if (waiter !== undefined) waiting.delete(waiter)
    return waiter
  }
  const openOne = (): Connection => {
    const connection: Connection = open({
      onIdle: () => {
        const waiter = nextWaiter() ?? { give: (free) => idle.push(free) }
        waiter.give(connection)
      },
      onClosed: () => {
        all.delete(connection)
        idle.splice(0, idle.length, ...idle.filter((other) => other !== connection))
        if (all.size < maxConnections) nextWaiter()?.give(openOne())
      },
    })
    all.add(connection)
    return connection
  }
  const wait = async (signal?: AbortSignal): Promise<Connection> => {
    if (waiting.size >= maxWaiting) throw new PoolExhausted()
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    const waiter = { give: resolve, refuse: reject }
    waiting.add(waiter)
    const leave = (): void => {
      if (waiting.delete(waiter)) reject(isTimeout(signal?.reason) ? new PoolExhausted() : signal?.reason)
    }
    signal?.addEventListener('abort', leave, { once: true })
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }
  return {
    lease: async (signal, isFresh = false) => {
      signal?.throwIfAborted()
      if (isClosed) throw shuttingDown()
      const last = isFresh ? undefined : idle.pop()
      if (last !== undefined) return last
      // The longest idle one makes room for a fresh one; for the moment of its end they are one more.
      const oldest = all.size < maxConnections ? undefined : idle.shift()
      oldest?.close()
      if (oldest !== undefined || all.size < maxConnections) return openOne()
      return await wait(signal)
    },
    isEmpty: () => all.size === 0 && waiting.size === 0,
    close: () => {
      isClosed = true
      for (const { refuse } of waiting) refuse(shuttingDown())
      waiting.clear()
      for (const connection of all) connection.close()
    },
  }
}
