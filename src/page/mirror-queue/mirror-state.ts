/**
 * The state of the mirror for the page at `/`: the length of its queue, and the number of dead images. Everybody can see it, so it has no
 * names. It is cached, so that visitors cause few requests.
 */
import { RegistryError } from '../../oci/errors.ts'
import type { PartState } from '../../telemetry/part-states.ts'
import { queueIn } from './mirror-answer.ts'
import type { MirrorOrigin } from './mirror-origin.ts'
import { mirrorPaths } from '../../registry/route-paths.ts'
import { apiPath } from './mirror-paths.ts'

const name = 'mirror'
const part = { name, page: mirrorPaths.list } as const
/** At most this many images are counted. */
const maxDead = 100
const query = new URLSearchParams({ action: 'show', state: 'dead', limit: String(maxDead) }).toString()
/** Milliseconds between two requests. */
const intervalMs = 10_000

export class MirrorState {
  readonly #mirror: Pick<MirrorOrigin, 'get'>
  readonly #now: () => number
  #state: PartState = { ...part, state: 'unknown' }
  #sentAt = -Infinity

  /** @param now milliseconds, monotonic */
  constructor(mirror: Pick<MirrorOrigin, 'get'>, now: () => number = () => performance.now()) {
    this.#mirror = mirror
    this.#now = now
  }

  /** Returns the cached state, and starts a refresh for later calls. */
  current(): PartState {
    if (this.#now() - this.#sentAt >= intervalMs) void this.refresh()
    return this.#state
  }

  async refresh(): Promise<void> {
    this.#sentAt = this.#now()
    this.#state = await this.#look().catch((error: unknown) => ({
      ...part,
      state: 'fails' as const,
      detail: error instanceof RegistryError ? error.message : undefined,
    }))
  }

  async #look(): Promise<PartState> {
    const { total, mirrors } = queueIn(await this.#mirror.get(name, apiPath, query))
    const dead = mirrors?.length ?? 0
    const more = dead === maxDead ? ' or more' : ''
    return {
      ...part,
      state: 'works',
      detail: `${total} ${total === 1 ? 'image' : 'images'} in the queue, ${dead}${more} of them dead`,
    }
  }
}
