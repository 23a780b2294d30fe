/**
 * How many wrong passwords of robots are answered as such: beyond that they are answered 429, whatever they are. A right password is
 * compared before, and never comes here.
 */
import { networkOfClient } from '../../access/ip-address.ts'
import { createAllowance, type Allowance } from '../../concurrency/allowance.ts'
import { PerKey } from '../../concurrency/per-key.ts'
import { RegistryError } from '../../oci/errors.ts'

/** Counts a wrong one. @param client the address it came from. @throws {RegistryError} TOOMANYREQUESTS */
export type GuessLimit = (client: string) => void

/** As many as refused tokens: the same clients have outdated logins of either sort. */
const ofAddress = { burst: 30, perSecond: 1 }
const ofEverybody = { burst: 100, perSecond: 50 }
/** About 200 bytes each. */
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
