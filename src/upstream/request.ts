/**
 * The types that the rooms of upstream share: a request, its response, and its body. Types alone, so that no room imports another one for
 * them.
 */

/** The kind of a request, for metrics and rate limits. */
export type UpstreamKind = 'manifest' | 'blob' | 'tags' | 'referrers'

/** Who waits for a response. */
export interface Caller {
  /** The rate limits count by requester: a requester with many requests must not make others wait. */
  readonly requester: string
  /** Aborted when nobody waits any more. */
  readonly signal?: AbortSignal | undefined
  /**
   * `background`: no user waits for it. It is sent only if no user's request wants its turn, it may wait longer, and its failure is no
   * evidence for the circuit breaker.
   */
  readonly priority?: 'background' | undefined
}

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

/** Takes the next chunk. The sink may use its memory until it calls `release`. After that, later chunks are written into it. */
export type Sink = (chunk: Buffer, release: () => void) => void

export interface Body {
  /**
   * Delivers every byte, in order, and resolves after the last one. Only a few chunks are out at a time: until the sink calls `release`,
   * upstream is not read (backpressure). To be called once.
   * @throws {RegistryError} if upstream breaks off, ends before its Content-Length, or is silent for too long
   * @throws what `sink` throws. The connection is closed then.
   */
  readonly pipeTo: (sink: Sink) => Promise<void>
  /** For an unwanted body: frees the connection, by reading the rest if it is short, or else by closing it. Never throws. */
  readonly discard: () => Promise<void>
}

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
