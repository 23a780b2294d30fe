/**
 * The rate limit of wrong robot passwords, by address: further guesses get 429. A right password is accepted before this limit.
 */
import { networkOfClient } from '../../access/ip-address.ts'
import { createAllowance, type Allowance } from '../../concurrency/allowance.ts'
import { PerKey } from '../../concurrency/per-key.ts'
import { RegistryError } from '../../oci/errors.ts'

/** Counts one wrong password. @param client its address. @throws {RegistryError} TOOMANYREQUESTS */
export type GuessLimit = (client: string) => void

/** The same limit as for refused tokens: outdated logins of both kinds come from the same clients. */
const ofAddress = { burst: 30, perSecond: 1 }
const ofEverybody = { burst: 100, perSecond: 50 }
/** About 200 bytes for each. */
const maxAddresses = 20_000

/** @param now milliseconds, monotonic */
export const createGuessLimit = (now: () => number = () => performance.now()): GuessLimit => {
  const addresses = new PerKey(maxAddresses, () => createAllowance({ ...ofAddress, now }))
  const everybody = createAllowance({ ...ofEverybody, now })
  return (client) => {
    const own = addresses.of(networkOfClient(client))
    for (const allowance of [own, everybody]) if (allowance.state() === 'spent') throw tooMany(allowance)
    for (const allowance of [own, everybody]) allowance.charge(1)
  }
}

const tooMany = (allowance: Allowance): RegistryError => {
  const seconds = allowance.retryAfterSeconds()
  return new RegistryError(
    'TOOMANYREQUESTS',
    `too many logins of robots that are not right; ask for the current pull secret, and try again in ${seconds} s`,
    { headers: { 'retry-after': String(seconds) } },
  )
}
