/**
 * Waits for stream entries of the store, on a connection of its own: the bell for published facts, and failed logins.
 */
import { keys } from './keys.ts'
import { entryOf, listOf, textOf, type Reply } from './reply.ts'
import type { Session } from './session.ts'

export interface StoreFeedOptions {
  readonly onFacts: () => Promise<unknown>
  readonly onLogin: (entry: Reply) => void
}

const blockMs = 5000
/** Longer than the store waits: after that, the connection counts as dead. */
const silentMs = blockMs + 2000

export class StoreFeed {
  readonly #options: StoreFeedOptions
  #loginsReadTo = ''

  constructor(options: StoreFeedOptions) {
    this.#options = options
  }

  /**
   * Runs until the session ends. Never rejects.
   * @param newestLogin id of the newest entry: earlier entries are skipped, unless an earlier session has read entries
   */
  async follow(session: Session, newestLogin: string): Promise<void> {
    // In a store that was emptied, the ids start again.
    const before = this.#loginsReadTo
    this.#loginsReadTo = before === '' || timeOf(newestLogin) < timeOf(before) ? newestLogin : before
    let rung = '0-0'
    const from = () => ['STREAMS', keys.bell, keys.logins, rung, this.#loginsReadTo]
    while (session.isOpen())
      try {
        const command = ['XREAD', 'COUNT', '100', 'BLOCK', String(blockMs), ...from()]
        const reply = await session.follow(command, silentMs)
        for (const stream of reply === null ? [] : listOf(reply)) {
          const [name, entries] = listOf(stream)
          const newest = entryOf(listOf(entries).at(-1)).id
          if (textOf(name) === keys.bell) {
            rung = newest
            await this.#options.onFacts()
          } else {
            this.#loginsReadTo = newest
            listOf(entries).forEach(this.#options.onLogin)
          }
        }
      } catch (error) {
        session.end(error as Error)
      }
  }
}

/** The time in an entry's id: milliseconds since the epoch, by the clock of the store. */
const timeOf = (id: string): number => Number(id.split('-', 1)[0])
