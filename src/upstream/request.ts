/**
 * What the rooms of upstream say to each other: a request, its response, and the body of it. Types alone, so that no room has to import
 * another one for them.
 */

/** What is asked for, in metrics and limits. */
export type UpstreamKind = 'manifest' | 'blob' | 'tags' | 'referrers'

/** Who waits for an answer. */
export interface Caller {
  /** Those who ask much must not keep others waiting. */
  readonly requester: string
  /** Aborted when nobody waits any more. */
  readonly signal?: AbortSignal | undefined
  /**
   * `background`: nobody waits for it, so it goes where nobody else wants to, waits longer for that, and what becomes of it says nothing
   * to those who do wait.
   */
  readonly priority?: 'background' | undefined
}

export interface UpstreamRequest extends Caller {
  /**
   * `locate`: a redirect is checked and not followed: the answer is its `location`, and nothing was asked of that. `ignore`: it is the
   * answer, wherever it leads.
   */
  readonly redirects?: 'follow' | 'locate' | 'ignore'
  readonly method: 'GET' | 'HEAD'
  /** Below the upstream origin, built from validated parts; never a client's own path. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** What is asked for, in metrics and limits. */
  readonly kind: UpstreamKind
}

export interface UpstreamResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** `Docker-Content-Digest` of the first hop that names one: the CDN behind a redirect knows no digests. */
  readonly digest: string | undefined
  /** Where upstream redirects to, for who wanted to know that alone. A key to the blob for a minute: not to be logged. */
  readonly location?: URL
  readonly body: Body
}

/** @throws {RegistryError} UNAVAILABLE, TOOMANYREQUESTS; 2xx, 4xx but 401 and 429, and 416 are answers */
export type SendUpstream = (request: UpstreamRequest) => Promise<UpstreamResponse>

/** Takes the next chunk. Its memory is the taker's until `release` is called, and is used for later chunks after that. */
export type Sink = (chunk: Buffer, release: () => void) => void

export interface Body {
  /**
   * Hands over every byte, in order, and resolves with the last of them. Only a few chunks are out at a time: who has not called
   * `release` is waited for, and upstream is not read from meanwhile. To be called once.
   * @throws {RegistryError} where upstream breaks off, ends before its Content-Length, or is silent for too long; what `sink`
   *   throws. The connection is gone then.
   */
  readonly pipeTo: (sink: Sink) => Promise<void>
  /** Not wanted: frees the connection, by reading the little that is left or else by closing it. Never throws. */
  readonly discard: () => Promise<void>
}

/** The answer to a request of the robot's login. */
export interface LoginAnswer {
  readonly status: number
  readonly challenge?: string
  /** The field Retry-After. */
  readonly retryAfter?: string
  readonly body: string
}

/** The robot's credential for one request. */
export interface RobotLease {
  /** The field Authorization; undefined where upstream asks for none. */
  readonly authorization: string | undefined
  /**
   * Upstream answered 401 to it.
   * @returns the credential to try next; undefined where no further try can help
   * @throws {RegistryError} UNAVAILABLE where no robot can log in
   */
  readonly rejected: () => Promise<RobotLease | undefined>
}
