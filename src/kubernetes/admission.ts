/**
 * Who may still have an unknown token reviewed. Only a refusal is charged: for that of a token which had to be asked about, the
 * client's address pays one, and so do all addresses together.
 *
 * What is guaranteed:
 * - A token that the cluster has accepted before never comes here, whatever its address has done.
 * - An address causes at most `burst` refused reviews at once and `perSecond` after that; then its unknown tokens are answered
 *   429, and nobody else's are.
 * - All addresses together cause at most twice the bounds of `everybody`: once for addresses at which somebody was accepted
 *   before, once for strangers. So a flood from many strange addresses costs people at known ones nothing.
 * - A valid token costs nothing and meets no limit but that of what others of its address have spent: where a place is merely
 *   held by a review in flight, it waits for it.
 *
 * What is not: while strangers flood from many addresses, a person who comes from a new address with a new token may be told to
 * come again in a second. And where all clients share one address (a router, without --trusted-proxies), so do they the limit.
 */
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'
import { RegistryError, unavailable } from '../errors.ts'
import { createAllowance, type Allowance } from './allowance.ts'

/** What became of a token that was let in; `unanswered` where nobody can say, or nobody was asked. */
export type Outcome = 'accepted' | 'refused' | 'unanswered'

/** Waits, or throws; what it gives is called once, when the review is over. @throws {RegistryError} TOOMANYREQUESTS, UNAVAILABLE */
export type Admit = (client: string) => Promise<(outcome: Outcome) => void>

export interface AdmissionOptions {
  /** Called for every token that is not let in: whose allowance was spent. */
  readonly observeLimited: (limit: 'address' | 'everybody' | 'waiting') => void
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** An office or a CI cluster behind one address may have thirty outdated logins at a time. */
const ofAddress = { burst: 30, perSecond: 1 }
/** What a single kubelet may ask for by default: kubeAPIQPS and kubeAPIBurst. */
const ofEverybody = { burst: 100, perSecond: 50 }
/** About 200 bytes each. */
const maxAddresses = 20_000
const maxWaiting = 512

export const createAdmission = ({
  observeLimited,
  now = () => performance.now(),
}: AdmissionOptions): Admit => {
  const addresses = new LRUCache<string, Allowance>({ max: maxAddresses })
  // A cache of its own: strangers, however many, push nobody out of it.
  const accepted = new LRUCache<string, true>({ max: maxAddresses })
  const strangers = createAllowance({ ...ofEverybody, now })
  const acquainted = createAllowance({ ...ofEverybody, now })
  const waiting = new Set<() => void>()

  const allowancesOf = (address: string) => {
    const own = addresses.get(address) ?? createAllowance({ ...ofAddress, now })
    addresses.set(address, own)
    return { address: own, everybody: accepted.get(address) === true ? acquainted : strangers }
  }

  const settlementOf = (address: string, allowances: readonly Allowance[]) => (outcome: Outcome) => {
    if (outcome === 'accepted') accepted.set(address, true)
    for (const allowance of allowances) allowance.settle(outcome === 'refused')
    const woken = [...waiting]
    waiting.clear()
    for (const wake of woken) wake()
  }

  return async (client) => {
    const address = addressOf(client)
    for (;;) {
      const allowances = allowancesOf(address)
      for (const limit of ['address', 'everybody'] as const)
        if (allowances[limit].state() === 'spent') {
          observeLimited(limit)
          throw tooMany(limit, allowances[limit].retryAfterSeconds())
        }
      const both = Object.values(allowances)
      if (both.every((allowance) => allowance.state() === 'free')) {
        for (const allowance of both) allowance.hold()
        return settlementOf(address, both)
      }
      if (waiting.size >= maxWaiting) {
        observeLimited('waiting')
        throw unavailable('too many new logins at once; try again in a moment', undefined, 1)
      }
      await new Promise<void>((wake) => waiting.add(wake))
    }
  }
}

const tooMany = (limit: 'address' | 'everybody', seconds: number): RegistryError => {
  const whence = limit === 'address' ? ' from your address' : ''
  return new RegistryError(
    'TOOMANYREQUESTS',
    `too many logins${whence} that the app.ci cluster does not accept; check yours with oc whoami, and try again in ${seconds} s`,
    { headers: { 'retry-after': String(seconds) } },
  )
}

/** Whoever has an IPv6 address has 2^64 of them: the network counts. An IPv4 address is the same one where it is written as IPv6. */
const addressOf = (client: string): string => {
  // A trusted proxy may hand on what a client has written.
  if (!ipaddr.isValid(client)) return 'unknown'
  const address = ipaddr.process(client)
  return address.kind() === 'ipv4'
    ? address.toString()
    : address.toByteArray().slice(0, 8).join('.') + '::/64'
}
