/**
 * Publishes charges for failed logins to all replicas in a stream of the store. A replica that was disconnected for a moment reads the
 * charges that it missed. The meaning of a charge is up to its listener.
 */
import type { TokenBucket } from '../concurrency/token-bucket.ts'
import { keys } from './keys.ts'
import { entryOf, textOf, type Reply } from './reply.ts'
import type { Argument } from './store-client.ts'
import type { FailedLogins, LoginCharge } from './shared-state.ts'

export interface FailedLoginFeedOptions {
  readonly origin: string
  readonly send: (args: readonly Argument[]) => Promise<Reply>
  /** Limits the charges that are published. */
  readonly bucket: TokenBucket
}

export interface FailedLoginFeed extends FailedLogins {
  /** @param entry of the stream */
  readonly receive: (entry: Reply) => void
}

/** Attack: a flood of failed logins must not flood the store. */
export const publishRate = { perSecond: 50, burst: 100 }
const maxBytes = 256
/** About 200 KB: the last two seconds, at the rate of ten replicas. */
const maxEntries = 1000

export const createFailedLoginFeed = ({ origin, send, bucket }: FailedLoginFeedOptions): FailedLoginFeed => {
  const listeners: ((charge: LoginCharge) => void)[] = []
  return {
    publish: (charge) => {
      const text = JSON.stringify(charge)
      if (Buffer.byteLength(text) > maxBytes || !bucket.take()) return
      // If it cannot be sent, it is lost for other replicas; this replica has counted it.
      send(['XADD', keys.logins, 'MAXLEN', '~', String(maxEntries), '*', origin, text]).catch(() => undefined)
    },
    onCharge: (listener) => listeners.push(listener),
    receive: (entry) => {
      const [pair] = entryOf(entry).pairs
      if (pair === undefined || textOf(pair[0]) === origin) return
      const charge = parseCharge(pair[1])
      if (charge !== undefined) for (const listener of listeners) listener(charge)
    },
  }
}

const parseCharge = (bytes: Buffer): LoginCharge | undefined => {
  if (bytes.length > maxBytes) return undefined
  try {
    const value: unknown = JSON.parse(bytes.toString())
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const isCharge = Object.values(value).every(
      (part) => typeof part === 'string' || typeof part === 'number',
    )
    return isCharge ? (value as LoginCharge) : undefined
  } catch {
    return undefined
  }
}
