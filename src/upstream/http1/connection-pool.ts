/**
 * The connections to one origin, bounded in number. The one used last is used again first. A request that finds no free one waits.
 */
import { onAbort } from '../../concurrency/abortable.ts'
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
   * A connection that no other request uses, until it is idle or closed.
   * @param isFresh a new connection: upstream may have closed all idle ones
   * @throws {PoolExhausted} if too many requests wait, or this one waited too long; the signal's reason
   */
  readonly lease: (signal?: AbortSignal, isFresh?: boolean) => Promise<Connection>
  /** No connection is open, and no request waits for one. */
  readonly isEmpty: () => boolean
  readonly close: () => void
}

interface Waiter {
  readonly give: (connection: Connection) => void
  readonly refuse: (error: unknown) => void
}

/** The deadline passed while other requests had the connections. Upstream was not slow, so the circuit must not open. */
const isTimeout = (reason: unknown): boolean =>
  reason instanceof DOMException && reason.name === 'TimeoutError'

const shuttingDown = () => unavailable('the proxy is shutting down; try again in a moment')

export const createConnectionPool = (options: ConnectionPoolOptions): ConnectionPool =>
  new BoundedPool(options)

class BoundedPool implements ConnectionPool {
  readonly #options: ConnectionPoolOptions
  readonly #all = new Set<Connection>()
  readonly #idle: Connection[] = []
  readonly #waiting = new Set<Waiter>()
  #isClosed = false

  constructor(options: ConnectionPoolOptions) {
    this.#options = options
  }

  async lease(signal?: AbortSignal, isFresh = false): Promise<Connection> {
    signal?.throwIfAborted()
    if (this.#isClosed) throw shuttingDown()
    const last = isFresh ? undefined : this.#idle.pop()
    if (last !== undefined) return last
    const isFull = this.#all.size >= this.#options.maxConnections
    // The connection that was idle for longest makes room for a fresh one. Until it has closed, there is one more than the maximum.
    const oldest = isFull ? this.#idle.shift() : undefined
    oldest?.close()
    return isFull && oldest === undefined ? await this.#wait(signal) : this.#open()
  }

  isEmpty(): boolean {
    return this.#all.size === 0 && this.#waiting.size === 0
  }

  close(): void {
    this.#isClosed = true
    for (const { refuse } of this.#waiting) refuse(shuttingDown())
    this.#waiting.clear()
    for (const connection of this.#all) connection.close()
  }

  #open(): Connection {
    const { open, maxConnections } = this.#options
    const connection: Connection = open({
      onIdle: () => {
        const waiter = this.#nextWaiter()
        if (waiter === undefined) this.#idle.push(connection)
        else waiter.give(connection)
      },
      onClosed: () => {
        this.#all.delete(connection)
        const at = this.#idle.indexOf(connection)
        if (at !== -1) this.#idle.splice(at, 1)
        if (this.#all.size < maxConnections) this.#nextWaiter()?.give(this.#open())
      },
    })
    this.#all.add(connection)
    return connection
  }

  #nextWaiter(): Waiter | undefined {
    const [waiter] = this.#waiting
    if (waiter !== undefined) this.#waiting.delete(waiter)
    return waiter
  }

  async #wait(signal?: AbortSignal): Promise<Connection> {
    if (this.#waiting.size >= this.#options.maxWaiting) throw new PoolExhausted()
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    const waiter = { give: resolve, refuse: reject }
    this.#waiting.add(waiter)
    const leave = (): void => {
      if (this.#waiting.delete(waiter))
        reject(isTimeout(signal?.reason) ? new PoolExhausted() : signal?.reason)
    }
    using _listener = onAbort(signal, leave)
    return await promise
  }
}
