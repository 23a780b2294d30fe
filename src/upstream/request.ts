/**
 * The types that the rooms of upstream share: a request, its response, and its body. Types alone, so that no room imports another one for
 * them.
 */
import type { Body, Caller } from '../oci/image-source.ts'

/** The kind of a request, for metrics and rate limits. */
export type UpstreamKind = 'manifest' | 'blob' | 'tags' | 'referrers'

export interface UpstreamRequest extends Caller {
  /**
   * `locate`: a redirect is checked and not followed; the response has its `location`. `ignore`: a redirect is the response, wherever it
   * leads.
   */
  readonly redirects?: 'follow' | 'locate' | 'ignore'
  readonly method: 'GET' | 'HEAD'
  /** Below the upstream origin, built from validated parts. It is never the path of a client. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly kind: UpstreamKind
}

export interface UpstreamResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The first `Docker-Content-Digest` of all round trips: the CDN behind a redirect sends none. */
  readonly digest: string | undefined
  /** Where upstream redirects to, with `redirects: 'locate'`. It opens the blob for a minute, so it must not be logged. */
  readonly location?: URL
  readonly body: Body
}

/** @throws {RegistryError} UNAVAILABLE, TOOMANYREQUESTS. The statuses 2xx, and 4xx except 401 and 429, are responses. */
export type SendUpstream = (request: UpstreamRequest) => Promise<UpstreamResponse>

/** The response to a request of the robot's login. */
export interface LoginAnswer {
  readonly status: number
  readonly challenge?: string
  /** The field Retry-After. */
  readonly retryAfter?: string
  readonly body: string
}

/** The robot's credential for one request. */
export interface RobotLease {
  /** The field Authorization; undefined if upstream requires none. */
  readonly authorization: string | undefined
  /**
   * To be called when upstream answered 401 to it.
   * @returns the credential to try next; undefined if no further try can help
   * @throws {RegistryError} UNAVAILABLE if no robot can log in
   */
  readonly rejected: () => Promise<RobotLease | undefined>
}
