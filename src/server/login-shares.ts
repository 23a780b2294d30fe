/**
 * A bound on credentials that are being looked at, shared out by address: until it is known who asks, the address is all there is.
 */
import { unavailable } from '../errors.ts'
import type { Authenticate } from '../registry/authentication.ts'
import { networkOf } from '../ip-address.ts'
import { FairShares } from './fair-shares.ts'

export interface LoginSharesOptions {
  /** Credentials at a time, of all addresses together. */
  readonly maxLogins: number
  /** Called for each that is sent away. */
  readonly observeShed: () => void
}

/** The same authentication, for no more at a time. @throws {RegistryError} UNAVAILABLE */
export const shareLogins = (
  authenticate: Authenticate,
  { maxLogins, observeShed }: LoginSharesOptions,
): Authenticate => {
  const shares = new FairShares(maxLogins)
  return async (credential, client) => {
    const network = networkOf(client)
    if (!shares.tryTake(network)) {
      observeShed()
      throw unavailable('too many logins at once from your address; try again in a moment', undefined, 1)
    }
    try {
      return await authenticate(credential, client)
    } finally {
      shares.giveBack(network)
    }
  }
}
