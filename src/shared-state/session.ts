/**
 * One life of the connection to the store: a client for commands, one that waits for news, and a circuit breaker, so that a store that
 * has become slow is waited for by a single probe and by nobody else.
 */
import { createCircuitBreaker } from '../concurrency/circuit-breaker.ts'
import type { Reply } from './reply.ts'
import type { Script } from './scripts.ts'
import { openStoreClient, type Argument, type StoreAddress, type StoreClient } from './store-client.ts'
import { endsSession, StoreAway, StoreSlow } from './store-errors.ts'

/** Milliseconds that somebody waits for an answer of the store. */
export const deadlineMs = 250
/** Milliseconds for what nobody waits for. Silence for longer ends the session. */
export const patientMs = 2000
const probeEveryMs = 500

export interface Session {
  /** With the deadline of those who wait, or at once while the circuit is open. @throws {StoreSlow | StoreAway | StoreRefused} */
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
  const { promise: ended, resolve } = Promise.withResolvers<Error>()
  let isOpen = true
  const clients: StoreClient[] = []
  const end = (error: Error): void => {
    isOpen = false
    resolve(error)
    for (const client of clients) client.destroy()
  }
  for (let count = 0; count < 2; count += 1)
    try {
      clients.push(await openStoreClient(address, end))
    } catch (error) {
      end(error as Error)
      throw error
    }
  const [commands, follower] = clients as [StoreClient, StoreClient]
  const breaker = createCircuitBreaker({
    isTransient: (error) => error instanceof StoreSlow,
    refuse: () => new StoreAway('the store does not answer in time'),
    retryMs: probeEveryMs,
  })

  const answered = async (answer: Promise<Reply>): Promise<Reply> => {
    try {
      return await answer
    } catch (error) {
      if (endsSession(error)) end(error as Error)
      throw error
    }
  }
  /** Only what somebody waits for says whether the store is slow: an answer after a second is none to them. */
  const inTime = async (answer: Promise<Reply>): Promise<Reply> => {
    try {
      const reply = await answered(answer)
      onSlow(undefined)
      return reply
    } catch (error) {
      if (error instanceof StoreSlow) onSlow(error)
      throw error
    }
  }
  /** Silence for as long as that: the connection may be one of those that never end by themselves. */
  const orEnd = async (answer: Promise<Reply>): Promise<Reply> => {
    try {
      return await answered(answer)
    } catch (error) {
      if (error instanceof StoreSlow) end(error)
      throw error
    }
  }
  return {
    command: async (args) => await breaker(async () => await inTime(commands.send(args, deadlineMs))),
    patiently: async (args) => await orEnd(commands.send(args, patientMs)),
    follow: async (args, ms) => await orEnd(follower.send(args, ms)),
    isOpen: () => isOpen,
    end,
    ended,
  }
}
