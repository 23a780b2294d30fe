/**
 * Where images come from: manifests, blobs, tag lists and referrers. The registry reads from an `ImageSource`, the pipeline of upstream
 * provides it, and each stage of the pipeline wraps one of its four functions.
 */
import type { Descriptor } from './descriptor.ts'
import type { Digest, QciTag } from './reference.ts'

export interface ImageSource {
  readonly fetchManifest: FetchManifest
  readonly openBlob: OpenBlob
  readonly fetchTags: FetchTags
  readonly fetchReferrers: FetchReferrers
}

/** The caller that waits for a response. */
export interface Caller {
  /** The rate limits count by requester: a requester with many requests must not make others wait. */
  readonly requester: string
  /** Aborted when nobody waits any more. It may be a getter that creates the signal: it is read only by stages that wait. */
  readonly signal?: AbortSignal | undefined
  /**
   * `background`: no user waits for it. It is sent only if no user's request wants its turn, it may wait longer, and its failure is no
   * evidence for the circuit breaker.
   */
  readonly priority?: 'background' | undefined
}

export interface ManifestRequest extends Caller {
  readonly method: 'GET' | 'HEAD'
  readonly reference: QciTag | Digest
  /** Undefined for every type. */
  readonly accept: string | undefined
}

export interface Manifest {
  readonly digest: Digest
  readonly mediaType: string
  /** Bytes. */
  readonly size: number
  /** Undefined for HEAD. */
  readonly content: Buffer | undefined
  /** Upstream fails, so it is unknown whether the tag has moved. */
  readonly isStale: boolean
}

/** @throws {RegistryError} MANIFEST_UNKNOWN, MANIFEST_INVALID, UNAVAILABLE, TOOMANYREQUESTS */
export type FetchManifest = (request: ManifestRequest) => Promise<Manifest>

export interface BlobRequest extends Caller {
  readonly method: 'GET' | 'HEAD'
  readonly digest: Digest
  /** The client's Range and If-Range. */
  readonly range: string | undefined
  readonly ifRange: string | undefined
}

export interface Blob {
  readonly status: 200 | 206 | 307
  /** Length, type and range, as upstream sends them: clients compare them with what they expect. */
  readonly headers: Readonly<Record<string, string>>
  /** Undefined for HEAD and for a redirect. */
  readonly body: Body | undefined
}

/** @throws {RegistryError} BLOB_UNKNOWN, SIZE_INVALID (416), UNAVAILABLE, TOOMANYREQUESTS */
export type OpenBlob = (request: BlobRequest) => Promise<Blob>

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

export interface TagsRequest extends Caller {
  /** The tag before the first one wanted; undefined for the beginning. */
  readonly after: string | undefined
}

/** One page of upstream's tag list, in upstream's order. */
export interface TagPage {
  readonly tags: readonly string[]
  /** Upstream has more tags after the last one. */
  readonly more: boolean
}

/** @throws {RegistryError} UNAVAILABLE, TOOMANYREQUESTS */
export type FetchTags = (request: TagsRequest) => Promise<TagPage>

export interface ReferrersRequest extends Caller {
  readonly digest: Digest
  readonly artifactType: string | undefined
}

export interface Referrers {
  /** The referrers of all pages of upstream. One list is one object for all requesters. */
  readonly manifests: readonly Descriptor[]
  /** `OCI-Filters-Applied: artifactType`: upstream has left out manifests of other types. */
  readonly isFiltered: boolean
}

/** @throws {RegistryError} UNSUPPORTED (404) if upstream has no such endpoint, UNAVAILABLE, TOOMANYREQUESTS */
export type FetchReferrers = (request: ReferrersRequest) => Promise<Referrers>
