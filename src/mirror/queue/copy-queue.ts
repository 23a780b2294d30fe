/**
 * The queue of copies. The source hosts take turns, so that one slow registry with a hundred images does not block the others. A failed
 * copy is tried again with backoff. After too many failures it is dead, and keeps the reason. An image leaves the queue only when it is
 * copied or removed.
 */
import type { Clock } from '../../concurrency/clock.ts'
import { defaultRetryRules, Entry, type RetryRules } from './entry.ts'
import type { CopyStatus, QueuedCopy } from './queued-copy.ts'

export interface CopyQueueOptions {
  /** Makes one copy. */
  readonly run: (copy: QueuedCopy) => Promise<void>
  readonly maxConcurrent: number
  readonly maxPerHost: number
  readonly clock: Clock
  readonly rules?: RetryRules
  /** Called after each try. No error means that the image was copied and has left the queue. */
  readonly observe: (status: CopyStatus, error?: unknown) => void
}

export class CopyQueue {
  readonly #options: CopyQueueOptions
  readonly #rules: RetryRules
  /** By target. */
  readonly #entries = new Map<string, Entry>()
  /** Waiting entries by the host of their source. The first host is the next in turn. */
  readonly #hosts = new Map<string, Set<Entry>>()
  readonly #running = new Map<string, number>()
  #copying = 0
  #isStopped = false
  #idle: (() => void)[] = []

  constructor(options: CopyQueueOptions) {
    this.#options = options
    this.#rules = options.rules ?? defaultRetryRules
  }

  /** Adds a copy. If the queue already has it with the same source and digest, its state stays: a dead copy stays dead. */
  put(copy: QueuedCopy): void {
    const entry = this.#entries.get(copy.target)
    if (entry === undefined) {
      const fresh = new Entry(copy)
      this.#entries.set(copy.target, fresh)
      this.#wait(fresh)
    } else if (entry.state === 'copying') entry.next = entry.isOf(copy) ? undefined : copy
    else if (!entry.isOf(copy)) {
      this.#unwait(entry)
      entry.replace(copy)
      this.#wait(entry)
    } else entry.copy = { ...entry.copy, ...(copy.distributed && { distributed: copy.distributed }) }
    this.#pump()
  }

  /** Tries it now. @returns false if it is not in the queue, or is being copied */
  retry(target: string): boolean {
    const entry = this.#entries.get(target)
    if (entry === undefined || entry.state === 'copying') return false
    this.#unwait(entry)
    entry.wake()
    this.#wait(entry)
    this.#pump()
    return true
  }

  /** Removes an image that is not desired any more, or needs no copy. A copy that has begun is finished, and none follows it. */
  remove(target: string): boolean {
    const entry = this.#entries.get(target)
    if (entry?.state === 'copying') entry.next = undefined
    if (entry === undefined || entry.state === 'copying') return false
    this.#unwait(entry)
    this.#entries.delete(target)
    this.#settle()
    return true
  }

  list(): readonly CopyStatus[] {
    return [...this.#entries.values()].map((entry) => entry.status())
  }

  /** Resolves when the queue holds only dead copies, or when it is stopped and no copy runs. */
  async idle(): Promise<void> {
    if (this.#isIdle()) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /** From now on no copy begins. Resolves when the running copies have ended. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.idle()
  }

  #wait(entry: Entry): void {
    const { sourceHost } = entry.copy
    const host = this.#hosts.get(sourceHost)
    if (host === undefined) this.#hosts.set(sourceHost, new Set([entry]))
    else host.add(entry)
  }

  #unwait(entry: Entry): void {
    const { sourceHost } = entry.copy
    const host = this.#hosts.get(sourceHost)
    host?.delete(entry)
    if (host?.size === 0) this.#hosts.delete(sourceHost)
  }

  #pump(): void {
    while (!this.#isStopped && this.#copying < this.#options.maxConcurrent) {
      const entry = this.#next()
      if (entry === undefined) return
      this.#start(entry)
    }
  }

  /** The first entry of the first host that is below its limit. This host moves to the end of the rotation. */
  #next(): Entry | undefined {
    for (const [name, host] of this.#hosts) {
      if ((this.#running.get(name) ?? 0) >= this.#options.maxPerHost) continue
      const [entry] = host as unknown as [Entry]
      this.#hosts.delete(name)
      host.delete(entry)
      if (host.size > 0) this.#hosts.set(name, host)
      return entry
    }
    return undefined
  }

  #start(entry: Entry): void {
    const { sourceHost } = entry.copy
    entry.begin()
    this.#copying += 1
    this.#running.set(sourceHost, (this.#running.get(sourceHost) ?? 0) + 1)
    this.#options.run(entry.copy).then(
      () => this.#end(entry, sourceHost),
      (error: unknown) => this.#end(entry, sourceHost, { error }),
    )
  }

  #end(entry: Entry, host: string, failure?: { readonly error: unknown }): void {
    this.#copying -= 1
    const left = (this.#running.get(host) as number) - 1
    if (left === 0) this.#running.delete(host)
    else this.#running.set(host, left)
    if (failure !== undefined) entry.fail(failure.error, this.#options.clock.now(), this.#rules)
    this.#options.observe(entry.status(), failure?.error)
    if (entry.next !== undefined) {
      entry.replace(entry.next)
      entry.next = undefined
      this.#wait(entry)
    } else if (failure === undefined) this.#entries.delete(entry.copy.target)
    else if (entry.nextTryAt !== undefined) this.#later(entry, entry.nextTryAt)
    this.#pump()
    this.#settle()
  }

  #later(entry: Entry, at: number): void {
    const { clock } = this.#options
    clock.after(Math.max(0, at - clock.now()), () => {
      // It may have been tried, replaced or removed meanwhile.
      if (entry.state !== 'backing off' || entry.nextTryAt !== at) return
      if (this.#entries.get(entry.copy.target) !== entry) return
      entry.wake()
      this.#wait(entry)
      this.#pump()
    })
  }

  #isIdle(): boolean {
    if (this.#copying > 0) return false
    return this.#isStopped || [...this.#entries.values()].every(({ state }) => state === 'dead')
  }

  #settle(): void {
    if (!this.#isIdle()) return
    const idle = this.#idle
    this.#idle = []
    for (const resolve of idle) resolve()
  }
}
