/**
 * Shared state over Valkey or Redis: composes the connection, the log and the writer of facts, the leases and the feeds.
 */
import { randomBytes } from 'node:crypto'
import { createTokenBucket } from '../concurrency/token-bucket.ts'
import type { Fact } from '../digests/facts.ts'
import type { IndexState } from '../digests/restricted-index/index-state.ts'
import { Certainty } from './certainty.ts'
import { FactLog } from './fact-log.ts'
import { FactWriter } from './fact-writer.ts'
import { createFailedLoginFeed, publishRate, type FailedLoginFeed } from './failed-login-feed.ts'
import { createGrants } from './grants.ts'
import { Heartbeat } from './heartbeat.ts'
import { ofUnknownPatterns } from './index-state-codec.ts'
import { keys } from './keys.ts'
import { LeasedBucket, leaseCommand } from './rate-leases.ts'
import type { Reply } from './reply.ts'
import { deadlineMs, type Session } from './session.ts'
import type { SharedState, SharedStateOptions, SharedStatus } from './shared-state.ts'
import { StoreFeed } from './store-feed.ts'
import { ReplicaCount } from './replica-count.ts'
import { StateDirectory } from './state-directory.ts'
import { within, type Argument, type StoreAddress } from './store-client.ts'
import { StoreConnection } from './store-connection.ts'
import { WalkLease } from './walk-lease.ts'

export interface StoreStateOptions extends SharedStateOptions {
  readonly store: StoreAddress
  /** Milliseconds between two beats; 2000 unless given. */
  readonly beatMs?: number
}

class StoreState implements SharedState {
  readonly #options: StoreStateOptions
  readonly #now: () => number
  readonly #wallClock: () => number
  readonly #origin = randomBytes(8).toString('hex')
  readonly #connection: StoreConnection
  readonly #log: FactLog
  readonly #writer: FactWriter
  readonly #lease: WalkLease
  readonly #feed: StoreFeed
  readonly #heartbeat: Heartbeat
  readonly #directory: StateDirectory | undefined
  readonly failedLogins: FailedLoginFeed
  readonly grants = createGrants(async (args) => await this.#command(args))
  readonly #replicas: ReplicaCount
  readonly #certainty: Certainty
  /** The state from the state directory, until the store can be read. */
  #storedIndex: IndexState | undefined
  /** The kinds of facts that could not be read. */
  readonly #unreadable = new Set<string>()

  constructor(options: StoreStateOptions) {
    this.#options = options
    const { store, apply, snapshot, replicas = 1, stateDir } = options
    this.#now = options.now ?? (() => performance.now())
    this.#wallClock = options.wallClock ?? Date.now
    this.#certainty = new Certainty(this.#now)
    this.#replicas = new ReplicaCount(replicas, this.#now)
    this.#connection = this.#connect(store)
    this.#log = this.#followLog(apply)
    this.#writer = this.#writeFacts(snapshot)
    this.#lease = new WalkLease({ origin: this.#origin, command: this.#command, now: this.#now })
    this.failedLogins = createFailedLoginFeed({
      origin: this.#origin,
      send: this.#command,
      bucket: createTokenBucket(publishRate, this.#now),
    })
    this.#feed = new StoreFeed({ onFacts: this.#catchUp, onLogin: this.failedLogins.receive })
    this.#heartbeat = this.#beatEvery(options.beatMs)
    this.#directory = stateDir === undefined ? undefined : this.#directoryAt(stateDir)
  }

  #connect(address: StoreAddress): StoreConnection {
    return new StoreConnection({
      address,
      onSession: async (session) => await this.#begin(session),
      onChange: () => {
        this.#certainty.changed(this.#connection.isUp())
        this.#options.onChange?.(this.status())
      },
      now: this.#now,
    })
  }

  #followLog(apply: StoreStateOptions['apply']): FactLog {
    return new FactLog({
      origin: this.#origin,
      wallClock: this.#wallClock,
      apply,
      onLost: () => this.#onLost(),
      onUnreadable: (kind) => this.#onUnreadable(kind),
    })
  }

  #writeFacts(snapshot: StoreStateOptions['snapshot']): FactWriter {
    return new FactWriter({
      origin: this.#origin,
      wallClock: this.#wallClock,
      snapshot,
      session: () => this.#connection.session(),
      isUp: () => this.#connection.isUp(),
      epoch: () => this.#log.epoch(),
      onOtherEpoch: () => void this.#catchUp(),
      onWrites: (error) => this.#connection.setWrites(error?.message),
    })
  }

  #beatEvery(everyMs: number | undefined): Heartbeat {
    return new Heartbeat({
      origin: this.#origin,
      log: this.#log,
      writer: this.#writer,
      lease: this.#lease,
      catchUp: this.#catchUp,
      onReplicas: (count) => this.#replicas.count(count),
      now: this.#now,
      wallClock: this.#wallClock,
      everyMs,
    })
  }

  #directoryAt(directory: string): StateDirectory {
    return new StateDirectory({
      directory,
      snapshot: this.#options.snapshot,
      index: async () => await this.#indexToStore(),
      onWarning: (message) => this.#options.onWarning?.(message),
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
      this.#log.isLoaded() ? this.#asReadHere(await this.#lease.read()) : this.#storedIndex,
    // The facts that the state relies on must be in the store before it.
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
    const stored = await this.#directory?.open()
    if (stored !== undefined) {
      this.#options.apply(stored.facts)
      this.#storedIndex = stored.index
      this.#writer.republish()
    }
    this.#connection.start()
  }

  readonly close = async (): Promise<void> => {
    this.#heartbeat.stop()
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
    await this.#heartbeat.beat(session)
    void this.#feed.follow(session, newestLogin)
    void this.#heartbeat.run(session)
  }

  async #indexToStore(): Promise<IndexState | undefined> {
    if (await this.facts.catchUp()) this.#storedIndex = await this.#lease.read()
    return this.#options.hasForgotten?.() === true ? undefined : this.#storedIndex
  }

  /** Attack: a restricted fact that this replica cannot read closes nothing here. */
  #asReadHere(state: IndexState | undefined): IndexState | undefined {
    const lacksRestricted = this.#unreadable.has('T') || this.#unreadable.has('N')
    return lacksRestricted ? state && ofUnknownPatterns(state) : state
  }

  #onUnreadable(kind: string): void {
    if (this.#unreadable.size === 0)
      this.#options.onWarning?.(
        `the store contains entries below ${keys.log} that are no facts of this version; they are skipped. Find the other program that writes there`,
      )
    this.#unreadable.add(kind)
  }
}

export const createStoreState = (options: StoreStateOptions): SharedState => new StoreState(options)
