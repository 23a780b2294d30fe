/**
 * One life of the connection to the store: a client for commands, one that waits for news, and a circuit breaker, so that a store that
 * has become slow is waited for by a single probe and by nobody else.
 */
import { createCircuitBreaker } from '../concurrency/circuit-breaker.ts'
import type { Reply } from './reply.ts'
import type { Script } from './scripts.ts'
import { openStoreClient, type Argument, type StoreAddress, type StoreClient } from './store-client.ts'
import { endsSession, StoreUnavailable, StoreSlow } from './store-errors.ts'

/** Milliseconds that somebody waits for an answer of the store. */
export const deadlineMs = 250
/** Milliseconds for what nobody waits for. Silence for longer ends the session. */
export const patientMs = 2000
const probeEveryMs = 500

export interface Session {
  /** With the deadline of those who wait, or at once while the circuit is open. @throws {StoreSlow | StoreUnavailable | StoreRefused} */
  readonly command: (args: readonly Argument[]) => Promise<Reply>
  /** For what nobody waits for: past the circuit, and silence ends the session. @throws as `command` */
  readonly patiently: (args: readonly Argument[]) => Promise<Reply>
  /** Waits for news on a connection of its own. @throws as `command` */
  readonly follow: (args: readonly Argument[], ms: number) => Promise<Reply>
  readonly isOpen: () => boolean
  readonly end: (error: Error) => void
  /** Resolves with the reason. */
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
 * @param onSlow called with each command that is not answered in time, and with undefined for each that is
 * @throws {Error} where the store cannot be reached
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
  /** The one for commands, and the one that waits for entries of streams. */
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

  /** Only commands with a short deadline tell whether the store is slow: their callers gain nothing from a reply after a second. */
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

  /** Ends a session that is silent for so long: its connection may be dead without a sign of it. */
  async #orEnd(answer: Promise<Reply>): Promise<Reply> {
    try {
      return await answer
    } catch (error) {
      if (error instanceof StoreSlow) this.end(error)
      throw error
    }
  }
}
