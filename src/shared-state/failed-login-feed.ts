/**
 * Charges for failed logins, told to all replicas in a stream of the store: one that was away for a moment reads what it missed.
 * What a charge means is for those who count.
 */
import type { TokenBucket } from '../concurrency/token-bucket.ts'
import { keys } from './keys.ts'
import { entryOf, textOf, type Reply } from './reply.ts'
import type { Argument } from './store-client.ts'
import type { FailedLogins, LoginCharge } from './shared-state.ts'

export interface FailedLoginFeedOptions {
  readonly origin: string
  readonly send: (args: readonly Argument[]) => Promise<Reply>
  /** So many charges are told. */
  readonly bucket: TokenBucket
}

export interface FailedLoginFeed extends FailedLogins {
  /** @param entry of the stream */
  readonly receive: (entry: Reply) => void
}

/** Attack: a flood of failed logins is not to become a flood of the store. */
export const publishRate = { perSecond: 50, burst: 100 }
const maxBytes = 256
/** Some 200 KB; at the rate of ten replicas, the last two seconds. */
const maxEntries = 1000

export const createFailedLoginFeed = ({ origin, send, bucket }: FailedLoginFeedOptions): FailedLoginFeed => {
  const listeners: ((charge: LoginCharge) => void)[] = []
  return {
    publish: (charge) => {
      const text = JSON.stringify(charge)
      if (Buffer.byteLength(text) > maxBytes || !bucket.take()) return
      // Lost where it cannot be sent: it is counted here all the same.
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
