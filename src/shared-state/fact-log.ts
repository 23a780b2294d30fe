/**
 * Applies the facts of other replicas: first all facts of the store, then the entries of its log from there on.
 *
 * While the log still has the entry that was read last, no entry after it was missed. If that entry is gone, the log was trimmed past it,
 * or the store was emptied or restored from an older copy. Then all facts are loaded again.
 */
import { randomBytes } from 'node:crypto'
import type { Fact } from '../digests/facts.ts'
import { openLifeMs } from '../digests/sightings.ts'
import { decodeFact } from './fact-codec.ts'
import { createFreshReads } from './fresh-reads.ts'
import { factHashes, keys } from './keys.ts'
import { bytesOf, entryOf, listOf, pairsOf, textOf } from './reply.ts'
import { openScript, readScript } from './scripts.ts'
import { evalOf, type Session } from './session.ts'
import { inSlices } from './slices.ts'

export interface FactLogOptions {
  /** Name of this replica, whose own entries are skipped. */
  readonly origin: string
  readonly apply: (facts: readonly Fact[]) => void
  /** The store has lost facts: it was emptied, or restored from an older copy. */
  readonly onLost: () => void
  /** The store contains something that is no fact of this version. */
  readonly onUnreadable: (kind: string) => void
  readonly wallClock: () => number
}

/** The last entry that was read, with the session and the epoch of the store that it belongs to. */
interface Position {
  readonly session: Session
  readonly epoch: string
  readonly entry: string
}

type StoredFact = readonly [kind: string, field: Buffer, value: Buffer]

/** Entries of one read at most. */
const pageSize = 256
/** Fields of one step of a load. */
const scanCount = 512

export class FactLog {
  readonly #options: FactLogOptions
  #position: Position | undefined
  #isLoaded = false
  #isFull = false
  readonly #readFresh = createFreshReads(async () => await this.#read())

  constructor(options: FactLogOptions) {
    this.#options = options
  }

  isLoaded(): boolean {
    return this.#isLoaded
  }

  /** Whether the store took no writes at the last read. */
  isFull(): boolean {
    return this.#isFull
  }

  /** Empty before the log was opened; no store has an empty epoch. */
  epoch(): string {
    return this.#position?.epoch ?? ''
  }

  /**
   * To be called with each new session. The load continues in the background; if it fails, the session ends.
   * @returns the id of the newest failed login
   * @throws {Error} if the store does not answer
   */
  async open(session: Session): Promise<string> {
    const before = this.#position
    const { position, logins } = await this.#begin(session)
    if (before?.epoch === position.epoch && this.#isLoaded) {
      this.#position = { ...before, session }
      await this.catchUp()
    } else this.#load(position, before !== undefined && before.epoch !== position.epoch)
    return logins
  }

  /** Applies everything that was published before this call. @returns false if that was not possible @throws {Error} */
  async catchUp(): Promise<boolean> {
    return await this.#readFresh()
  }

  async #begin(session: Session): Promise<{ position: Position; logins: string }> {
    const reply = listOf(
      await session.patiently(
        evalOf(
          openScript,
          [keys.epoch, keys.log, keys.logins, keys.nothing],
          [randomBytes(8).toString('hex')],
        ),
      ),
    )
    return {
      position: { session, epoch: textOf(reply[0]), entry: textOf(reply[1]) },
      logins: textOf(reply[2]),
    }
  }

  /** In the background, until the session is over. */
  #load(position: Position, isLost: boolean): void {
    const { session } = position
    this.#isLoaded = false
    this.#position = position
    if (isLost) this.#options.onLost()
    const load = async (): Promise<void> => {
      for (const { kind, key } of factHashes(this.#options.wallClock()))
        await this.#loadHash(session, kind, key)
      if (this.#position === position) this.#isLoaded = true
    }
    load().catch((error: unknown) => session.end(error as Error))
  }

  async #loadHash(session: Session, kind: string, key: string): Promise<void> {
    let cursor = '0'
    do {
      const reply = listOf(await session.patiently(['HSCAN', key, cursor, 'COUNT', String(scanCount)]))
      cursor = textOf(reply[0])
      await this.#apply(pairsOf(reply[1]).map(([field, value]) => [kind, field, value] as const))
    } while (cursor !== '0')
  }

  /** @returns whether the end of the log was reached */
  async #read(): Promise<boolean> {
    for (;;) {
      const position = this.#position
      if (position === undefined || !this.#isLoaded) return false
      const reply = listOf(
        await position.session.command(
          evalOf(
            readScript,
            [keys.epoch, keys.log, keys.nothing],
            [position.epoch, position.entry, String(pageSize)],
          ),
        ),
      )
      const state = textOf(reply[0])
      this.#isFull = state === 'full'
      if (state !== 'ok' && state !== 'full') {
        await this.#reload(position.session, state === 'lost')
        return false
      }
      // The first entry is the last one that was read.
      const entries = listOf(reply[1]).map(entryOf).slice(1)
      await this.#apply(entries.flatMap(({ pairs }) => this.#recordsOf(pairs)))
      // Another session has begun meanwhile, and stands elsewhere.
      if (this.#position !== position) return false
      this.#position = { ...position, entry: entries.at(-1)?.id ?? position.entry }
      if (entries.length < pageSize - 1) return true
    }
  }

  async #reload(session: Session, isLost: boolean): Promise<void> {
    this.#isLoaded = false
    const { position } = await this.#begin(session)
    this.#load(position, isLost)
  }

  #recordsOf(pairs: readonly (readonly [Buffer, Buffer])[]): StoredFact[] {
    const [[, origin] = [], ...facts] = pairs
    if (origin?.toString() === this.#options.origin) return []
    return facts.map(([field, value]) => [field.toString('latin1', 0, 1), field.subarray(1), value] as const)
  }

  /** Skips open facts that have expired; the store drops them within eight hours. */
  async #apply(records: readonly StoredFact[]): Promise<void> {
    const oldest = this.#options.wallClock() - openLifeMs
    let facts: Fact[] = []
    await inSlices(
      records,
      ([kind, field, value]) => {
        const decoded = decodeFact(kind, bytesOf(field), bytesOf(value))
        if (decoded === undefined) this.#options.onUnreadable(kind)
        else if (decoded.fact.isRestricted || decoded.stamp >= oldest) facts.push(decoded.fact)
      },
      () => {
        if (facts.length > 0) this.#options.apply(facts)
        facts = []
      },
    )
  }
}
