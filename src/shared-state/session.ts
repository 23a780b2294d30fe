/**
 * A session with the store: one client for commands, one that waits for stream entries, and a circuit breaker. If the store has become slow,
 * only a single probe waits for it.
 */
import { createCircuitBreaker } from '../concurrency/circuit-breaker.ts'
import type { Reply } from './reply.ts'
import type { Script } from './scripts.ts'
import { openStoreClient, type Argument, type StoreAddress, type StoreClient } from './store-client.ts'
import { endsSession, StoreUnavailable, StoreSlow } from './store-errors.ts'

/** Milliseconds for a command that a request waits for. */
export const deadlineMs = 250
/** Milliseconds for a command in the background. A longer silence ends the session. */
export const patientMs = 2000
const probeEveryMs = 500

export interface Session {
  /** For a request that waits. Fails at once while the circuit is open. @throws {StoreSlow | StoreUnavailable | StoreRefused} */
  readonly command: (args: readonly Argument[]) => Promise<Reply>
  /** For work in the background: ignores the circuit, and silence ends the session. @throws as `command` */
  readonly patiently: (args: readonly Argument[]) => Promise<Reply>
  /** Waits for stream entries, on a connection of its own. @throws as `command` */
  readonly follow: (args: readonly Argument[], ms: number) => Promise<Reply>
  readonly isOpen: () => boolean
  readonly end: (error: Error) => void
  /** Resolves with the reason of the end. */
  readonly ended: Promise<Error>
}

export const evalOf = (script: Script, keys: readonly string[], args: readonly Argument[]): Argument[] => [
  'EVAL',
  script.lua,
  String(script.keys),
  ...keys,
  ...args,
]

/**
 * @param onSlow called with an error for each command without an answer in time, and with undefined for each with one
 * @throws {Error} if the store cannot be reached
 */
export const openSession = async (
  address: StoreAddress,
  onSlow: (error: StoreSlow | undefined) => void,
): Promise<Session> => {
  const session = new StoreSession(onSlow)
  await session.open(address)
  return session
}

class StoreSession implements Session {
  readonly #onSlow: (error: StoreSlow | undefined) => void
  readonly #over = Promise.withResolvers<Error>()
  readonly ended = this.#over.promise
  /** The client for commands, and the client that waits for stream entries. */
  readonly #clients: StoreClient[] = []
  readonly #breaker = createCircuitBreaker({
    isTransient: (error) => error instanceof StoreSlow,
    refuse: () => new StoreUnavailable('the store does not answer in time'),
    retryMs: probeEveryMs,
  })
  #isOpen = true

  constructor(onSlow: (error: StoreSlow | undefined) => void) {
    this.#onSlow = onSlow
  }

  async open(address: StoreAddress): Promise<void> {
    for (let count = 0; count < 2; count += 1)
      try {
        this.#clients.push(await openStoreClient(address, this.end))
      } catch (error) {
        this.end(error as Error)
        throw error
      }
  }

  isOpen(): boolean {
    return this.#isOpen
  }

  readonly end = (error: Error): void => {
    this.#isOpen = false
    this.#over.resolve(error)
    for (const client of this.#clients) client.destroy()
  }

  async command(args: readonly Argument[]): Promise<Reply> {
    return await this.#breaker(async () => await this.#inTime(this.#send(0, args, deadlineMs)))
  }

  async patiently(args: readonly Argument[]): Promise<Reply> {
    return await this.#orEnd(this.#send(0, args, patientMs))
  }

  async follow(args: readonly Argument[], ms: number): Promise<Reply> {
    return await this.#orEnd(this.#send(1, args, ms))
  }

  async #send(client: 0 | 1, args: readonly Argument[], ms: number): Promise<Reply> {
    try {
      return await (this.#clients[client] as StoreClient).send(args, ms)
    } catch (error) {
      if (endsSession(error)) this.end(error as Error)
      throw error
    }
  }

  /** Only commands with the short deadline show whether the store is slow, because a late reply is useless to their callers. */
  async #inTime(answer: Promise<Reply>): Promise<Reply> {
    try {
      const reply = await answer
      this.#onSlow(undefined)
      return reply
    } catch (error) {
      if (error instanceof StoreSlow) this.#onSlow(error)
      throw error
    }
  }

  /** Ends a session that was silent for so long, because its connection may be dead without an error. */
  async #orEnd(answer: Promise<Reply>): Promise<Reply> {
    try {
      return await answer
    } catch (error) {
      if (error instanceof StoreSlow) this.end(error)
      throw error
    }
  }
}
