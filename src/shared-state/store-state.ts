/**
 * Shared state over Valkey or Redis: puts its parts together, and looks every two seconds whether all is as it was.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createTokenBucket } from '../concurrency/token-bucket.ts'
import type { Fact } from '../digests/facts.ts'
import type { IndexState } from '../digests/restricted-index/index-state.ts'
import { Certainty } from './certainty.ts'
import { FactLog } from './fact-log.ts'
import { FactWriter } from './fact-writer.ts'
import { createFailedLoginFeed, toldRate, type FailedLoginFeed } from './failed-login-feed.ts'
import { createGrants } from './grants.ts'
import { keys } from './keys.ts'
import { LeasedBucket, leaseCommand } from './rate-leases.ts'
import { listOf, numberOf, type Reply } from './reply.ts'
import { beatScript } from './scripts.ts'
import { deadlineMs, evalOf, type Session } from './session.ts'
import type { SharedState, SharedStateOptions, SharedStatus } from './shared-state.ts'
import { News } from './news.ts'
import { ReplicaCount } from './replica-count.ts'
import { StateDirectory } from './state-directory.ts'
import { within, type Argument, type StoreAddress } from './store-client.ts'
import { StoreConnection } from './store-connection.ts'
import { sweep } from './sweep.ts'
import { WalkLease } from './walk-lease.ts'

export interface StoreStateOptions extends SharedStateOptions {
  readonly store: StoreAddress
  /** Milliseconds between two looks. */
  readonly beatMs?: number
}

/** A replica that was not heard of for as long is none. */
const replicaForMs = 10_000
/** A replica that was away for longer loads everything again. */
const logForMs = 600_000
const sweepEveryMs = 3_600_000
/** What was lost and nobody here knows is not looked for every two seconds. */
const republishEveryMs = 60_000

class StoreState implements SharedState {
  readonly #options: StoreStateOptions
  readonly #now: () => number
  readonly #wallClock: () => number
  readonly #origin = randomBytes(8).toString('hex')
  readonly #connection: StoreConnection
  readonly #log: FactLog
  readonly #writer: FactWriter
  readonly #lease: WalkLease
  readonly #news: News
  readonly #directory: StateDirectory | undefined
  readonly failedLogins: FailedLoginFeed
  readonly grants = createGrants(async (args) => await this.#command(args))
  readonly #replicas: ReplicaCount
  readonly #certainty: Certainty
  /** What the state directory held: good until the store can say. */
  #keptIndex: IndexState | undefined
  #sweptAt = -Infinity
  #republishedAt = -Infinity
  #unreadable = 0
  #isClosing = false

  constructor(options: StoreStateOptions) {
    this.#options = options
    const { store, apply, snapshot, replicas = 1, stateDir } = options
    this.#now = options.now ?? (() => performance.now())
    this.#wallClock = options.wallClock ?? Date.now
    this.#certainty = new Certainty(this.#now)
    this.#replicas = new ReplicaCount(replicas, this.#now)
    const shared = { origin: this.#origin, wallClock: this.#wallClock }
    this.#connection = new StoreConnection({
      address: store,
      onSession: async (session) => await this.#begin(session),
      onChange: () => {
        this.#certainty.changed(this.#connection.isUp())
        this.#options.onChange?.(this.status())
      },
      now: this.#now,
    })
    this.#log = new FactLog({
      ...shared,
      apply,
      onLost: () => this.#onLost(),
      onUnreadable: () => this.#onUnreadable(),
    })
    this.#writer = new FactWriter({
      ...shared,
      snapshot,
      session: () => this.#connection.session(),
      isUp: () => this.#connection.isUp(),
      epoch: () => this.#log.epoch(),
      onOtherEpoch: () => void this.#catchUp(),
      onWrites: (error) => this.#connection.setWrites(error?.message),
    })
    this.#lease = new WalkLease({ origin: this.#origin, command: this.#command, now: this.#now })
    this.failedLogins = createFailedLoginFeed({
      origin: this.#origin,
      send: this.#command,
      bucket: createTokenBucket(toldRate, this.#now),
    })
    this.#news = new News({
      onFacts: this.#catchUp,
      onLogin: this.failedLogins.receive,
    })
    this.#directory = stateDir === undefined ? undefined : this.#directoryAt(stateDir)
  }

  #directoryAt(directory: string): StateDirectory {
    return new StateDirectory({
      directory,
      snapshot: this.#options.snapshot,
      index: async () => await this.#indexToKeep(),
      onTrouble: (message) => this.#options.onTrouble?.(message),
      wallClock: this.#wallClock,
    })
  }

  readonly facts = {
    publish: async (facts: readonly Fact[]): Promise<void> => await this.#writer.publish(facts),
    catchUp: async (): Promise<boolean> =>
      this.#connection.isUp() && (await within(this.#catchUp(), deadlineMs).catch(() => false)),
    isCertain: (): boolean => this.#certainty.isSettled() && !this.#log.isFull(),
  }

  readonly #catchUp = async (): Promise<boolean> => await this.#log.catchUp().catch(() => false)

  readonly index = {
    read: async (): Promise<IndexState | undefined> =>
      this.#log.isLoaded() ? await this.#lease.read() : this.#keptIndex,
    // What the state claims has to be in the store before it.
    write: async (state: IndexState): Promise<boolean> =>
      (await this.#writer.settle()) && (await this.#lease.write(state)),
    tryLead: async (): Promise<boolean> => await this.#lease.tryLead(),
  }

  readonly tokenBucket: SharedState['tokenBucket'] = (name, rate) =>
    new LeasedBucket({
      rate,
      lease: async (...counts) => await this.#command(leaseCommand(name, rate, ...counts)),
      isUp: () => this.#connection.isUp(),
      replicas: () => this.#replicas.value(),
      now: this.#now,
    })

  readonly status = (): SharedStatus => ({
    ...this.#connection.status(),
    replicas: this.#replicas.value(),
    isLoaded: this.#log.isLoaded(),
  })

  readonly start = async (): Promise<void> => {
    const kept = await this.#directory?.open()
    if (kept !== undefined) {
      this.#options.apply(kept.facts)
      this.#keptIndex = kept.index
      this.#writer.republish()
    }
    this.#connection.start()
  }

  readonly close = async (): Promise<void> => {
    // No beat from now on: it would count this replica in again.
    this.#isClosing = true
    await this.#directory?.close()
    await this.#lease.release()
    await this.#command(['ZREM', keys.replicas, this.#origin]).catch(() => undefined)
    await this.#connection.close()
  }

  readonly #command = async (args: readonly Argument[]): Promise<Reply> =>
    await this.#connection.session().command(args)

  #onLost(): void {
    this.#certainty.doubt()
    this.#writer.republish()
  }

  async #begin(session: Session): Promise<void> {
    const newestLogin = await this.#log.open(session)
    await this.#beat(session)
    void this.#news.follow(session, newestLogin)
    void this.#beats(session)
  }

  async #beats(session: Session): Promise<void> {
    const { beatMs = 2000 } = this.#options
    while (session.isOpen()) {
      await Promise.race([sleep(beatMs, undefined, { ref: false }), session.ended])
      if (session.isOpen() && !this.#isClosing) await this.#beat(session).catch(() => undefined)
    }
  }

  /** @throws {Error} where the store does not answer */
  async #beat(session: Session): Promise<void> {
    const reply = await session.patiently(
      evalOf(
        beatScript,
        [keys.replicas, keys.log, keys.index, keys.restrictedTags, keys.restrictedNames, keys.nothing],
        [this.#origin, String(replicaForMs), String(logForMs)],
      ),
    )
    const [replicas = 0, missing] = listOf(reply).map(numberOf)
    this.#replicas.count(replicas)
    if (missing === 1 && this.#now() - this.#republishedAt > republishEveryMs) this.#writer.republish()
    await this.#catchUp()
    await this.#writer.flush()
    await this.#lease.renew()
    if (!this.#log.isLoaded()) return
    void this.#republish()
    if (this.#lease.isHeld() && this.#now() - this.#sweptAt > sweepEveryMs) {
      this.#sweptAt = this.#now()
      // Beside the beats, which hold the lease. Where the store does not answer, the session ends.
      void Promise.allSettled([sweep(session, this.#origin, this.#wallClock())])
    }
  }

  async #republish(): Promise<void> {
    if (await this.#writer.republishAll()) this.#republishedAt = this.#now()
  }

  async #indexToKeep(): Promise<IndexState | undefined> {
    if (await this.facts.catchUp()) this.#keptIndex = await this.#lease.read()
    return this.#keptIndex
  }

  #onUnreadable(): void {
    this.#unreadable += 1
    if (this.#unreadable === 1)
      this.#options.onTrouble?.(
        `the store holds what is no fact of this version below ${keys.log}; it is passed over, remove who else writes there`,
      )
  }
}

export const createStoreState = (options: StoreStateOptions): SharedState => new StoreState(options)
