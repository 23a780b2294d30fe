/**
 * Keeps a session with the store open: opens a new one when it has ended, with backoff, and reports the state of the connection.
 */
import { backoffMs, pause } from '../concurrency/backoff.ts'
import type { SharedStatus } from './shared-state.ts'
import { openSession, type Session } from './session.ts'
import type { StoreAddress } from './store-client.ts'
import { reasonOf, StoreUnavailable } from './store-errors.ts'

export interface StoreConnectionOptions {
  readonly address: StoreAddress
  /** Called first with each new session. When it resolves, the store counts as connected. */
  readonly onSession: (session: Session) => Promise<void>
  /** Called when the state or its reason has changed. */
  readonly onChange: () => void
  readonly now: () => number
}

const backoff = { firstMs: 100, longestMs: 5000 }

export class StoreConnection {
  readonly #options: StoreConnectionOptions
  readonly #closing = new AbortController()
  #session: Session | undefined
  #isSlow = false
  #state: 'connected' | 'unavailable' = 'unavailable'
  #since: number
  #reason: string | undefined = 'not connected yet'
  #running: Promise<void> = Promise.resolve()

  constructor(options: StoreConnectionOptions) {
    this.#options = options
    this.#since = options.now()
  }

  start(): void {
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#session?.end(new StoreUnavailable('closed'))
    await this.#running
  }

  /** @throws {StoreUnavailable} if there is no session */
  session(): Session {
    if (this.#session === undefined) throw new StoreUnavailable('the store is unavailable')
    return this.#session
  }

  /** Whether a request may wait for the store. */
  isUp(): boolean {
    return this.#state === 'connected'
  }

  status(): Pick<SharedStatus, 'state' | 'sinceMs' | 'reason'> {
    return {
      state: this.#state,
      sinceMs: this.#options.now() - this.#since,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
    }
  }

  /** @param reason why a connected store takes no writes; undefined if it takes writes */
  setWrites(reason: string | undefined): void {
    if (this.#state === 'connected') this.#set('connected', reason)
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    let failures = 0
    while (!signal.aborted) {
      const error = await this.#live(() => (failures = 0))
      this.#session = undefined
      this.#set('unavailable', reasonOf(error))
      await pause(backoffMs(failures++, backoff), signal)
    }
  }

  /** Opens one session and waits for its end. @returns the reason of the end */
  async #live(onUp: () => void): Promise<unknown> {
    try {
      const session = await openSession(this.#options.address, (slow) => this.#onSlow(slow))
      this.#session = session
      this.#isSlow = false
      if (this.#closing.signal.aborted) session.end(new StoreUnavailable('closed'))
      try {
        await this.#options.onSession(session)
        onUp()
        if (session.isOpen() && !this.#isSlow) this.#set('connected', undefined)
        return await session.ended
      } finally {
        session.end(new StoreUnavailable('the session is over'))
      }
    } catch (error) {
      return error
    }
  }

  #onSlow(slow: Error | undefined): void {
    if (this.#isSlow === (slow !== undefined)) return
    this.#isSlow = slow !== undefined
    if (slow !== undefined) this.#set('unavailable', slow.message)
    else if (this.#session?.isOpen() === true) this.#set('connected', undefined)
  }

  #set(state: 'connected' | 'unavailable', reason: string | undefined): void {
    if (state === this.#state && reason === this.#reason) return
    if (state !== this.#state) this.#since = this.#options.now()
    this.#state = state
    this.#reason = reason
    this.#options.onChange()
  }
}
