/**
 * The cache of upstream's tag list. Each page is cached for a short time and fetched once for all requesters: quay grants only five a
 * second, and everybody who lists the monorepo reads the same pages. What a requester may see of a page is decided later.
 */
import { LRUCache } from 'lru-cache'
import { unlessAborted } from '../../concurrency/abortable.ts'
import { toRegistryError, UpstreamRateLimited } from '../errors.ts'
import type { FetchTags, TagPage, TagsRequest } from '../../oci/image-source.ts'

export interface TagListCacheOptions {
  readonly fetchTags: FetchTags
  /** Milliseconds for which a page is cached; 0 caches none. */
  readonly ttlMs: number
  readonly observe: (source: 'cached' | 'shared' | 'live') => void
  readonly maxBytes?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/**
 * Quay grants 45 pages in the 10 s for which a page is cached by default. A page of 100 tags of 128 characters has 17 kB. This is ten times
 * their sum.
 */
const defaultMaxBytes = 8 * 1024 * 1024
/** For each string, in addition to its characters, and its entry in the list. */
const bytesPerTag = 40
const bytesPerPage = 200

/**
 * How often a requester shares a fetch that ends at the rate limit of another one. Attack: many requesters over their limits take turns to
 * start the fetch, and all others wait. After so many rounds, each requester fetches the page for itself, at its own rate.
 */
const maxSharedRounds = 3

/** A page that is being fetched, and the number of requests that wait for it. */
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
    // lru-cache reads a ttl of 0 as "for ever".
    if (ttlMs > 0) pages.set(after, page)
  })

  const fetchShared = async (request: TagsRequest, round: number): Promise<TagPage> => {
    const { after = '', requester, signal } = request
    if (signal?.aborted === true) throw toRegistryError(signal.reason)
    const page = pages.get(after)
    if (page !== undefined) {
      observe('cached')
      return page
    }
    const key = round > maxSharedRounds ? `${flightKey(request)} of ${requester}` : flightKey(request)
    const joined = flights.get(key)
    observe(joined === undefined ? 'live' : 'shared')
    const flight = joined ?? flights.start(key, request)
    try {
      return await flights.wait(key, flight, signal)
    } catch (error) {
      // Attack: the rate limit of the requester who started the fetch must not refuse others. So one of them starts the next one.
      if (flight.requester === requester || !(error instanceof UpstreamRateLimited)) throw error
      return await fetchShared(request, round + 1)
    }
  }
  return async (request) => await fetchShared(request, 1)
}

/** Background requests share fetches only with each other. Otherwise a user would wait for a fetch of low priority. */
const flightKey = ({ after = '', priority }: TagsRequest): string =>
  priority === undefined ? after : `${priority} ${after}`

/** Not `createSingleFlight`: a page that nobody waits for any more is aborted, because quay grants only five a second. */
const createFlights = (fetchTags: FetchTags, onPage: (after: string, page: TagPage) => void) => {
  const flights = new Map<string, Flight>()

  const remove = (key: string, flight: Flight): void => {
    if (flights.get(key) === flight) flights.delete(key)
  }

  return {
    get: (key: string) => flights.get(key),
    start: (key: string, { after, requester, priority }: TagsRequest): Flight => {
      const abandoned = new AbortController()
      const page = fetchTags({ after, requester, priority, signal: abandoned.signal })
        .then((fresh) => {
          onPage(after ?? '', fresh)
          return fresh
        })
        .finally(() => remove(key, flight))
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
          remove(key, flight)
          flight.abandoned.abort()
        }
      }
    },
  }
}
