/**
 * Pages of upstream's tag list, kept for a moment and asked for once however many want them: five a second are the scarcest thing
 * that quay grants, and all who list the monorepo walk over the same ones. What a requester may see of a page is decided behind this.
 */
import { LRUCache } from 'lru-cache'
import { unlessAborted } from '../../concurrency/abortable.ts'
import { toRegistryError, UpstreamRateLimited } from '../errors.ts'
import type { FetchTags, TagPage, TagsRequest } from '../tags.ts'

export interface TagListCacheOptions {
  readonly fetchTags: FetchTags
  /** Milliseconds that a page is served for; 0 keeps none. */
  readonly ttlMs: number
  readonly observe: (source: 'cached' | 'shared' | 'live') => void
  readonly maxBytes?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/**
 * Quay grants 45 pages in the 10 s that they are kept by default. A page of 100 tags of 128 characters has 17 kB: ten times that.
 */
const defaultMaxBytes = 8 * 1024 * 1024
/** Of a string beside its characters, and its place in the list. */
const bytesPerTag = 40
const bytesPerPage = 200

/** A page that was asked for, and those who wait for it. */
interface Flight {
  readonly requester: string
  readonly page: Promise<TagPage>
  readonly abandoned: AbortController
  waiting: number
}

export const createTagListCache = (options: TagListCacheOptions): FetchTags => {
  const { fetchTags, ttlMs, observe, maxBytes = defaultMaxBytes, now = () => performance.now() } = options
  const pages = new LRUCache<string, TagPage>({
    maxSize: maxBytes,
    sizeCalculation: ({ tags }) =>
      tags.reduce((bytes, tag) => bytes + tag.length + bytesPerTag, bytesPerPage),
    ttl: ttlMs,
    perf: { now },
    ttlResolution: 0,
  })
  const flights = createFlights(fetchTags, (after, page) => {
    // To the cache 0 would be forever.
    if (ttlMs > 0) pages.set(after, page)
  })

  return async (request) => {
    const { after = '', requester, signal } = request
    const key = flightKey(request)
    if (signal?.aborted === true) throw toRegistryError(signal.reason)
    for (;;) {
      const page = pages.get(after)
      if (page !== undefined) {
        observe('cached')
        return page
      }
      const joined = flights.get(key)
      observe(joined === undefined ? 'live' : 'shared')
      const flight = joined ?? flights.start(key, request)
      try {
        return await flights.wait(key, flight, signal)
      } catch (error) {
        // Who was sent away for the greed of the one who asked first asks on their own account: each round has another first one.
        if (flight.requester === requester || !(error instanceof UpstreamRateLimited)) throw error
      }
    }
  }
}

/** What waits in the background is joined by the background alone: people would wait behind everybody. */
const flightKey = ({ after = '', priority }: TagsRequest): string =>
  priority === undefined ? after : `${priority} ${after}`

/** Not `createSingleFlight`: a page that nobody waits for any more is not worth one of quay's five requests a second, so it is abandoned. */
const createFlights = (fetchTags: FetchTags, keep: (after: string, page: TagPage) => void) => {
  const flights = new Map<string, Flight>()

  const forget = (key: string, flight: Flight): void => {
    if (flights.get(key) === flight) flights.delete(key)
  }

  return {
    get: (key: string) => flights.get(key),
    start: (key: string, { after, requester, priority }: TagsRequest): Flight => {
      const abandoned = new AbortController()
      const page = fetchTags({ after, requester, priority, signal: abandoned.signal })
        .then((fresh) => {
          keep(after ?? '', fresh)
          return fresh
        })
        .finally(() => forget(key, flight))
      const flight: Flight = { requester, page, abandoned, waiting: 0 }
      flights.set(key, flight)
      return flight
    },
    wait: async (key: string, flight: Flight, signal: AbortSignal | undefined): Promise<TagPage> => {
      flight.waiting += 1
      try {
        return await unlessAborted(signal, flight.page, toRegistryError)
      } finally {
        flight.waiting -= 1
        if (flight.waiting === 0) {
          forget(key, flight)
          flight.abandoned.abort()
        }
      }
    },
  }
}
