/**
 * Who may have an unknown token reviewed. Only a refusal is charged: for that of a token which had to be asked about, the client's
 * address pays one, and so do all addresses together.
 *
 * What is guaranteed:
 * - A token that the cluster has accepted before never comes here, whatever its address has done; nor does one that it has just
 *   refused.
 * - A valid token costs nothing. Where others of its address have spent what there is, it waits for a place: the newest few of each
 *   address do, one of each address in turn.
 * - **A trickle is no flood.** All clients may be one address (behind a passthrough route, or an office's NAT), where some expired
 *   logins come in at all times. While unproven tokens come from an address in a trickle (arrivals.ts), each is reviewed, whatever the
 *   address has spent before.
 * - A flood from one address causes `ofAddress.burst` refused reviews at once and `ofAddress.perSecond` after that.
 * - All addresses together cause at most twice the bounds of `ofEverybody`, trickles included: once for addresses at which somebody
 *   was accepted before, once for strangers. So a flood from many strange addresses costs people at known ones nothing.
 *
 * What is not: in the middle of a flood from their own address, or of strangers from many, people with a new token may be told to
 * come again.
 */
import { LRUCache } from 'lru-cache'
import { addressOf } from '../access/ip-address.ts'
import { createAllowance, type Allowance } from '../concurrency/allowance.ts'
import { systemClock, type Clock } from '../concurrency/clock.ts'
import { PerKey } from '../concurrency/per-key.ts'
import { RegistryError, unavailable } from '../oci/errors.ts'
import { createStrangeTokens, type StrangeTokens } from './strange-tokens.ts'
import { WaitingRoom, type Entered } from './waiting-room.ts'

/** What became of a token that was let in; `unanswered` where nobody can say, or nobody was asked. */
export type Outcome = 'accepted' | 'refused' | 'unanswered'

/** Called once, when the review is over. @param reviews that it took */
export type Settle = (outcome: Outcome, reviews?: number) => void

/** Who pays for a refusal beside its address: all strange ones, or all at which somebody was accepted. */
export type ChargeKind = 'stranger' | 'acquainted'

export interface Admission {
  /** Waits, or throws. @throws {RegistryError} TOOMANYREQUESTS, UNAVAILABLE */
  readonly admit: (client: string) => Promise<Settle>
  /** Applies a charge that was made elsewhere. @param address as `onCharge` gave it */
  readonly charge: (address: string, kind: ChargeKind) => void
}
export type AdmitLogin = Admission['admit']

export interface FailedLoginLimitOptions {
  /** Called for every token that is not let in: whose allowance was spent. */
  readonly observeLimited: (limit: Limit) => void
  /** Called for every refused review that was charged here: for replicas that count together. */
  readonly onCharge?: (address: string, kind: ChargeKind) => void
  readonly clock?: Clock
}
export type Limit = 'address' | 'everybody' | 'waiting'

/** An office or a CI cluster behind one address may have thirty outdated logins at a time. */
const ofAddress = { burst: 30, perSecond: 1 }
/** What a single kubelet may ask for by default: kubeAPIQPS and kubeAPIBurst. */
const ofEverybody = { burst: 100, perSecond: 50 }
/** About 300 bytes each. */
const maxAddresses = 20_000
const maxWaiting = 512
/** Where all that is there is spent: the newest of an address. Older ones are answered 429, so that a flood ends quickly. */
const maxWaitingForTime = 16
/** Milliseconds. Two seconds for a flood to be over, and a review of two seconds, are within the deadline of a decision. */
const maxWaitMs = 2500

interface Address {
  readonly allowance: Allowance
  readonly arrivals: StrangeTokens
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
  // A cache of its own: strangers, however many, push nobody out of it.
  readonly #accepted = new LRUCache<string, true>({ maxSize: maxAddresses, sizeCalculation: () => 1 })
  readonly #everybody: Readonly<Record<ChargeKind, Allowance>>
  readonly #room: WaitingRoom<Settle>

  constructor(options: FailedLoginLimitOptions) {
    const { clock = systemClock } = options
    const { now } = clock
    this.#options = options
    this.#addresses = new PerKey(maxAddresses, () => ({
      allowance: createAllowance({ ...ofAddress, now }),
      arrivals: createStrangeTokens(now),
    }))
    this.#everybody = {
      stranger: createAllowance({ ...ofEverybody, now }),
      acquainted: createAllowance({ ...ofEverybody, now }),
    }
    const enter = (address: string): Entered<Settle> =>
      this.#obstacle(address) === undefined ? { value: this.#holdFor(address) } : undefined
    const refuse = (address: string) => this.#refusal(address)
    this.#room = new WaitingRoom({ maxWaiting, maxWaitMs, clock, enter, refuse })
  }

  async admit(client: string): Promise<Settle> {
    const address = addressOf(client)
    this.#addresses.of(address).arrivals.note()
    const isSpent = this.#obstacle(address)?.isSpent === true
    return await this.#room.wait(address, isSpent ? maxWaitingForTime : maxWaiting)
  }

  charge(address: string, kind: ChargeKind): void {
    this.#addresses.of(address).allowance.charge(1)
    this.#everybody[kind].charge(1)
  }

  #chargeKindOf(address: string): ChargeKind {
    return this.#accepted.get(address) === true ? 'acquainted' : 'stranger'
  }

  /** What keeps a token of this address out now; undefined for nothing. */
  #obstacle(address: string): { limit: 'address' | 'everybody'; isSpent: boolean } | undefined {
    const all = this.#everybody[this.#chargeKindOf(address)].state()
    if (all !== 'free') return { limit: 'everybody', isSpent: all === 'spent' }
    const { allowance, arrivals } = this.#addresses.of(address)
    const own = allowance.state()
    return own === 'free' || arrivals.areCalm() ? undefined : { limit: 'address', isSpent: own === 'spent' }
  }

  #holdFor(address: string): Settle {
    const kind = this.#chargeKindOf(address)
    const { allowance, arrivals } = this.#addresses.of(address)
    const paying = [allowance, this.#everybody[kind]]
    for (const each of paying) each.hold()
    return (outcome, reviews = 1) => {
      if (outcome === 'accepted') {
        this.#accepted.set(address, true)
        arrivals.proven()
      }
      const refusals = outcome === 'refused' ? reviews : 0
      for (const each of paying) each.settle(refusals)
      for (let index = 0; index < refusals; index++) this.#options.onCharge?.(address, kind)
      this.#room.pump()
      // Those who waited for a place wait for time now, and there is not as much of that.
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
    const { allowance, arrivals } = this.#addresses.of(address)
    // Where nothing is in the way any more, others were in turn before.
    const limit = found?.limit ?? (arrivals.areCalm() ? 'everybody' : 'address')
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
