/** The purpose of a request to quay: it decides how the request is counted, and which limit applies. */
import type { RecordedRequest } from './origin.ts'

export type RequestKind = 'ping' | 'auth' | 'manifests' | 'blobs' | 'tags' | 'referrers' | 'cdn' | 'other'

/** Requests by kind, and how many of them were answered 429. */
export type RequestCounts = Readonly<Record<RequestKind | 'limited', number>>

const paths: readonly (readonly [RegExp, RequestKind])[] = [
  [/^\/v2\/auth$/, 'auth'],
  [/^\/v2\/?$/, 'ping'],
  [/^\/v2\/.+\/manifests\/[^/]+$/, 'manifests'],
  [/^\/v2\/.+\/blobs\/[^/]+$/, 'blobs'],
  [/^\/v2\/.+\/tags\/list$/, 'tags'],
  [/^\/v2\/.+\/referrers\/[^/]+$/, 'referrers'],
]

/** @param pathname of a request to quay itself */
export const kindOf = (pathname: string): Exclude<RequestKind, 'cdn'> =>
  (paths.find(([path]) => path.test(pathname))?.[1] ?? 'other') as Exclude<RequestKind, 'cdn'>

/** Counts for as long as quay runs, also if there are too many requests to record them. */
export class RequestCounter {
  readonly #counts: Record<RequestKind | 'limited', number> = {
    ping: 0,
    auth: 0,
    manifests: 0,
    blobs: 0,
    tags: 0,
    referrers: 0,
    cdn: 0,
    other: 0,
    limited: 0,
  }

  /** A copy. */
  get counts(): RequestCounts {
    return { ...this.#counts }
  }

  /** @param request one that was answered */
  count({ origin, url, status }: RecordedRequest): void {
    const [pathname = ''] = url.split('?', 1)
    this.#counts[origin === 'cdn' ? 'cdn' : kindOf(pathname)] += 1
    if (status === 429) this.#counts.limited += 1
  }
}
