/**
 * Limits the reviews of unknown tokens. Only refusals are charged: each refused review costs one to the address of the client, and one
 * to all addresses together.
 *
 * Guarantees:
 * - A token that the cluster accepted before is not limited, whatever its address did. A token that the cluster has just refused is not
 *   reviewed again.
 * - A valid token costs nothing. If others have used up the allowance of its address, it waits for a place. Only the newest few tokens
 *   of each address wait, and the addresses take turns.
 * - **A trickle is no flood.** All clients may share one address (behind a passthrough route, or the NAT of an office) from which some
 *   expired logins arrive all the time. While unknown tokens arrive from an address in a trickle (unknown-tokens.ts), each is reviewed,
 *   even if the allowance of the address is spent.
 * - A flood from one address causes `ofAddress.burst` refused reviews at once and `ofAddress.perSecond` after that.
 * - All addresses together cause at most twice the bounds of `ofEverybody`, trickles included: once for addresses from which the cluster
 *   has accepted a token, once for all others. So a flood from many unknown addresses costs users at known addresses nothing.
 *
 * Not guaranteed: during a flood from their own address, or from many unknown addresses, users with a new token may get 429.
 */
import { networkOfClient } from '../access/ip-address.ts'
import { createAllowance, type Allowance } from '../concurrency/allowance.ts'
import { createBoundedCache } from '../concurrency/bounded-cache.ts'
import { systemClock, type Clock } from '../concurrency/clock.ts'
import { PerKey } from '../concurrency/per-key.ts'
import { RegistryError, unavailable } from '../oci/errors.ts'
import { createUnknownTokens, type UnknownTokens } from './unknown-tokens.ts'
import { WaitingRoom, type Entered } from './waiting-room.ts'

/** The result for an admitted token; `unanswered` if the review failed or was not sent. */
export type Outcome = 'accepted' | 'refused' | 'unanswered'

/** To be called once, after the review. @param reviews that were sent for the token */
export type Settle = (outcome: Outcome, reviews?: number) => void

/** The group that pays for a refusal in addition to its address: addresses with an accepted token, or all others. */
export type ChargeKind = 'unknown-address' | 'known-address'

export interface Admission {
  /** Waits for a place. @throws {RegistryError} TOOMANYREQUESTS, UNAVAILABLE */
  readonly admit: (client: string) => Promise<Settle>
  /** Applies a charge of another replica. @param address as `onCharge` gave it */
  readonly charge: (address: string, kind: ChargeKind) => void
}
export type AdmitLogin = Admission['admit']

export interface FailedLoginLimitOptions {
  /** Called for every token that is not admitted, with the allowance that is spent. */
  readonly observeLimited: (limit: Limit) => void
  /** Called for every refused review that is charged here, so that replicas can count together. */
  readonly onCharge?: (address: string, kind: ChargeKind) => void
  readonly clock?: Clock
}
export type Limit = 'address' | 'everybody' | 'waiting'

/** An office or a CI cluster behind one address may send thirty outdated logins at a time. */
const ofAddress = { burst: 30, perSecond: 1 }
/** The default rate limit of a single kubelet: kubeAPIQPS and kubeAPIBurst. */
const ofEverybody = { burst: 100, perSecond: 50 }
/** About 300 bytes each. */
const maxAddresses = 20_000
const maxWaiting = 512
/** The newest tokens of an address with a spent allowance. Older ones get 429, so that a flood ends quickly. */
const maxWaitingForTime = 16
/** Milliseconds. Two seconds for a flood to end, and a review of two seconds, stay within the deadline of a decision. */
const maxWaitMs = 2500

interface Address {
  readonly allowance: Allowance
  readonly unknownTokens: UnknownTokens
}

export const createFailedLoginLimit = (options: FailedLoginLimitOptions): Admission => {
  const admission = new AddressAdmission(options)
  return {
    admit: async (client) => await admission.admit(client),
    charge: (address, kind) => admission.charge(address, kind),
  }
}

class AddressAdmission implements Admission {
  readonly #options: FailedLoginLimitOptions
  readonly #addresses: PerKey<Address>
  // A separate cache, so that a flood from unknown addresses evicts nothing from it.
  readonly #accepted = createBoundedCache<string, true>(maxAddresses)
  readonly #everybody: Readonly<Record<ChargeKind, Allowance>>
  readonly #room: WaitingRoom<Settle>

  constructor(options: FailedLoginLimitOptions) {
    const { clock = systemClock } = options
    const { now } = clock
    this.#options = options
    this.#addresses = new PerKey(maxAddresses, () => ({
      allowance: createAllowance({ ...ofAddress, now }),
      unknownTokens: createUnknownTokens(now),
    }))
    this.#everybody = {
      'unknown-address': createAllowance({ ...ofEverybody, now }),
      'known-address': createAllowance({ ...ofEverybody, now }),
    }
    this.#room = new WaitingRoom({
      maxWaiting,
      maxWaitMs,
      clock,
      enter: (address) => this.#tryEnter(address),
      refuse: (address) => this.#refusal(address),
    })
  }

  async admit(client: string): Promise<Settle> {
    const address = networkOfClient(client)
    this.#addresses.of(address).unknownTokens.note()
    const isSpent = this.#obstacle(address)?.isSpent === true
    return await this.#room.wait(address, isSpent ? maxWaitingForTime : maxWaiting)
  }

  charge(address: string, kind: ChargeKind): void {
    this.#addresses.of(address).allowance.charge(1)
    this.#everybody[kind].charge(1)
  }

  #chargeKindOf(address: string): ChargeKind {
    return this.#accepted.get(address) === true ? 'known-address' : 'unknown-address'
  }

  /** The limit that keeps a token of this address waiting now; undefined if a place is free. */
  #obstacle(address: string): { limit: 'address' | 'everybody'; isSpent: boolean } | undefined {
    const all = this.#everybody[this.#chargeKindOf(address)].state()
    if (all !== 'free') return { limit: 'everybody', isSpent: all === 'spent' }
    const { allowance, unknownTokens } = this.#addresses.of(address)
    const own = allowance.state()
    return own === 'free' || unknownTokens.areCalm()
      ? undefined
      : { limit: 'address', isSpent: own === 'spent' }
  }

  /** Holds a place of all addresses and one of this address; undefined if the token has to wait. */
  #tryEnter(address: string): Entered<Settle> {
    const kind = this.#chargeKindOf(address)
    const everybody = this.#everybody[kind]
    const { allowance, unknownTokens } = this.#addresses.of(address)
    if (everybody.tryHold() !== 'held') return undefined
    if (allowance.tryHold() !== 'held') {
      if (!unknownTokens.areCalm()) {
        everybody.settle(0)
        return undefined
      }
      allowance.hold()
    }
    return { value: this.#settleOf(address, kind) }
  }

  #settleOf(address: string, kind: ChargeKind): Settle {
    const { allowance, unknownTokens } = this.#addresses.of(address)
    const paying = [allowance, this.#everybody[kind]]
    return (outcome, reviews = 1) => {
      if (outcome === 'accepted') {
        this.#accepted.set(address, true)
        unknownTokens.proven()
      }
      const refusals = outcome === 'refused' ? reviews : 0
      for (const each of paying) each.settle(refusals)
      for (let index = 0; index < refusals; index++) this.#options.onCharge?.(address, kind)
      this.#room.pump()
      // The others waited for a place; from now on they wait for time, which admits fewer of them.
      if (allowance.state() === 'spent') this.#room.trim(address, maxWaitingForTime)
    }
  }

  #refusal(address: string): RegistryError {
    const { observeLimited } = this.#options
    const found = this.#obstacle(address)
    if (found?.isSpent === false) {
      observeLimited('waiting')
      return unavailable('too many new logins at once; try again in a moment', undefined, 1)
    }
    const { allowance, unknownTokens } = this.#addresses.of(address)
    // If a place is free now, the turns of others came first.
    const limit = found?.limit ?? (unknownTokens.areCalm() ? 'everybody' : 'address')
    observeLimited(limit)
    const paying = limit === 'address' ? allowance : this.#everybody[this.#chargeKindOf(address)]
    return tooMany(limit, paying.retryAfterSeconds())
  }
}

const tooMany = (limit: Exclude<Limit, 'waiting'>, seconds: number): RegistryError => {
  const whence = limit === 'address' ? ' from your address' : ''
  return new RegistryError(
    'TOOMANYREQUESTS',
    `too many logins${whence} that the app.ci cluster does not accept; check yours with oc whoami, and try again in ${seconds} s`,
    { headers: { 'retry-after': String(seconds) } },
  )
}
