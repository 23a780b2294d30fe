/**
 * One connection to the store: logged in, with a deadline for every command, and good for one life. Whoever holds it opens another
 * when it has ended, so that a password or an address that changed meanwhile is read again.
 */
import { createClient, ErrorReply, RESP_TYPES } from '@redis/client'
import type { Reply } from './reply.ts'
import { refusalOf, StoreUnavailable, StoreSlow } from './store-errors.ts'

export interface StoreAddress {
  /** `redis:` or `rediss:`; a user, a port and the number of a database may stand in it, a password not. */
  readonly url: URL
  /** Asked for each connection; undefined for a store without a password. */
  readonly password?: (() => string) | undefined
  /** PEM: the authorities that may vouch for the store, instead of the well-known ones. */
  readonly ca?: string | undefined
}

export type Argument = string | Buffer

export interface StoreClient {
  /** @throws {StoreSlow | StoreUnavailable | StoreRefused} */
  readonly send: (args: readonly Argument[], deadlineMs: number) => Promise<Reply>
  readonly destroy: () => void
}

/** For TCP, TLS and the login together. */
const connectMs = 2000

/**
 * A store that is stopped takes the connection (its kernel does) and never answers: the login has a deadline, too.
 * @param onEnd called once when the connection is lost
 * @throws {Error} where it cannot be opened
 */
export const openStoreClient = async (
  address: StoreAddress,
  onEnd: (error: Error) => void,
  deadlineMs = connectMs,
): Promise<StoreClient> => {
  const client = createClient(clientOptions(address, deadlineMs))
  // Without a listener an error would end the process.
  client.on('error', (error: Error) => onEnd(error))
  try {
    await within(client.connect(), deadlineMs)
  } catch (error) {
    client.destroy()
    throw error instanceof ErrorReply ? refusalOf(error.message) : error
  }
  const send = async (args: readonly Argument[], ms: number): Promise<Reply> => {
    try {
      return await within(client.sendCommand<Reply>(args, { typeMapping: bytes }), ms)
    } catch (error) {
      if (error instanceof StoreSlow) throw error
      throw error instanceof ErrorReply
        ? refusalOf(error.message)
        : new StoreUnavailable('the connection to the store is lost')
    }
  }
  return { send, destroy: () => client.destroy() }
}

const bytes = { [RESP_TYPES.BLOB_STRING]: Buffer }

const clientOptions = ({ url, password, ca }: StoreAddress, deadlineMs: number) => {
  const secret = password?.()
  const reached = {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 6379 : Number(url.port),
    connectTimeout: deadlineMs,
    reconnectStrategy: false as const,
  }
  return {
    RESP: 2 as const,
    socket:
      url.protocol === 'rediss:'
        ? { ...reached, tls: true as const, ...(ca === undefined ? {} : { ca }) }
        : reached,
    ...(secret === undefined
      ? {}
      : { username: decodeURIComponent(url.username) || 'default', password: secret }),
    database: Number(url.pathname.slice(1)),
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled' as const,
    // The client's own deadline ends when a command is written; `within` goes on until it is answered.
    commandOptions: { timeout: 0 },
  }
}

/** An answer that has arrived while this process was busy counts: the timer runs before the socket is read. */
export const within = async <Value>(promise: Promise<Value>, ms: number): Promise<Value> =>
  await new Promise<Value>((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => reject(new StoreSlow(ms))), ms)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
