/**
 * The limit of concurrent authentications, shared out by address: before authentication only the address is known.
 */
import { unavailable } from '../oci/errors.ts'
import type { Authenticate } from '../registry/authentication/authentication.ts'
import { networkOf } from '../access/ip-address.ts'
import { FairShares } from './fair-shares.ts'

export interface LoginSharesOptions {
  /** Concurrent authentications of all addresses together. */
  readonly maxLogins: number
  /** Called for each refused request. */
  readonly observeShed: () => void
}

/** The same authentication, within the limit. @throws {RegistryError} UNAVAILABLE */
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
