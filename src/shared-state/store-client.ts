/**
 * One connection to the store: logged in, with a deadline for every command. It does not reconnect: its owner opens another one, which reads
 * the password and the address again.
 */
import type { Reply } from './reply.ts'
import { refusalOf, StoreUnavailable, StoreSlow } from './store-errors.ts'

export interface StoreAddress {
  /** `redis:` or `rediss:`, with an optional user, port and database number, but without a password. */
  readonly url: URL
  /** Called for each connection; undefined for a store without a password. */
  readonly password?: (() => string) | undefined
  /** PEM: the certificate authorities of the store, instead of the well-known ones. */
  readonly ca?: string | undefined
}

export type Argument = string | Buffer

export interface StoreClient {
  /** @throws {StoreSlow | StoreUnavailable | StoreRefused} */
  readonly send: (args: readonly Argument[], deadlineMs: number) => Promise<Reply>
  readonly destroy: () => void
}

/** Milliseconds for TCP, TLS and the login together. */
const connectMs = 2000

/**
 * The login has a deadline as well, because the kernel of a stopped store accepts connections.
 * @param onEnd called once when the connection is lost
 * @throws {Error} if the connection cannot be opened
 */
export const openStoreClient = async (
  address: StoreAddress,
  onEnd: (error: Error) => void,
  deadlineMs = connectMs,
): Promise<StoreClient> => {
  // Five hundred modules, which only a proxy with a store has to load.
  const { createClient, ErrorReply, RESP_TYPES } = await import('@redis/client')
  const client = createClient(clientOptions(address, deadlineMs))
  // Without a listener an error would end the process.
  client.on('error', (error: Error) => onEnd(error))
  try {
    await within(client.connect(), deadlineMs)
  } catch (error) {
    client.destroy()
    throw error instanceof ErrorReply ? refusalOf(error.message) : error
  }
  const typeMapping = { [RESP_TYPES.BLOB_STRING]: Buffer }
  const send = async (args: readonly Argument[], ms: number): Promise<Reply> => {
    try {
      return await within(client.sendCommand<Reply>(args, { typeMapping }), ms)
    } catch (error) {
      if (error instanceof StoreSlow) throw error
      throw error instanceof ErrorReply
        ? refusalOf(error.message)
        : new StoreUnavailable('the connection to the store is lost')
    }
  }
  return { send, destroy: () => client.destroy() }
}

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
    // The client's own deadline covers only the write of a command; `within` covers its reply as well.
    commandOptions: { timeout: 0 },
  }
}

/** A reply that arrived while this process was busy counts, although the timer runs before the socket is read. */
export const within = async <Value>(promise: Promise<Value>, ms: number): Promise<Value> =>
  await new Promise<Value>((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => reject(new StoreSlow(ms))), ms)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
