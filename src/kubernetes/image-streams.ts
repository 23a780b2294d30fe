/**
 * The ImageStreams of app.ci, listed and watched: which tag of each of them claims to be which digest, told to the one that keeps that.
 *
 * Not `makeInformer` of client-node: it keeps every object whole (an ImageStream of app.ci has up to megabytes of status, of which
 * we need the digests), lists without pages, ends at the first error that is not a 410, and takes an ERROR event for progress. Its
 * `Watch` is what is left.
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import type { KubeConfig } from '@kubernetes/client-node'
import { backoffMs, pause } from '../concurrency/backoff.ts'
import { isDigest, type Digest, type ImageStream } from '../oci/reference.ts'
import { ResourceVersionExpired, readEvents, readPages, type WatchedObject } from './list-and-watch.ts'

/** Told in the order of the API server. */
export interface ImageStreamObserver {
  /** An image stream claims these digests, and no others. */
  readonly put: (imageStream: Required<ImageStream>, claims: readonly TagClaim[]) => void
  readonly remove: (imageStream: Required<ImageStream>) => void
  /** A list is complete: whatever it did not hold is gone. */
  readonly listed: (imageStreams: readonly Required<ImageStream>[]) => void
}

/** A tag of an image stream is said to be, or to have been, this digest. */
export interface TagClaim {
  readonly digest: Digest
  readonly tag: string
}

export type Trouble = 'list' | 'watch' | 'expired'

export interface ImageStreamsOptions {
  readonly kubeConfig: KubeConfig
  readonly observer: ImageStreamObserver
  /** Repositories that are the monorepo, as pull specs write them: `quay-proxy.ci.openshift.org/openshift/ci`. */
  readonly monorepos?: readonly string[]
  /** Called for whatever ended a list or a watch but its own time. It is tried again; what is known stays. */
  readonly onTrouble: (trouble: Trouble, error: Error) => void
  /** Called each time that a watch begins. */
  readonly onWatch?: () => void
  /** Milliseconds to wait after a failure; doubled for each further one, up to `maxRetryMs`. */
  readonly retryMs?: number
  readonly maxRetryMs?: number
  /** Milliseconds without a word after which a watch is given up: the API server sends a bookmark about every minute. */
  readonly silenceMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

export interface ImageStreamWatch {
  readonly start: () => void
  /** True once a first list was complete. */
  readonly listed: () => boolean
  /** Since the last event, bookmark or page of a list; since the start before any. */
  readonly silentMs: () => number
  readonly close: () => Promise<void>
}

const resource = { group: 'image.openshift.io', version: 'v1', plural: 'imagestreams' }

export const createImageStreamWatch = (options: ImageStreamsOptions): ImageStreamWatch => {
  const { kubeConfig, observer, onTrouble, onWatch, silenceMs = 90_000, monorepos = [] } = options
  const { retryMs = 500, maxRetryMs = 30_000, now = () => performance.now() } = options
  const ending = new AbortController()
  const { signal } = ending
  let heardAt = now()
  let listed = false
  let running: Promise<void> | undefined
  const trouble = (kind: Trouble, error: Error) => {
    if (!signal.aborted) onTrouble(kind, error)
  }

  const put = (object: WatchedObject): Required<ImageStream> => {
    const imageStream = nameOf(object)
    observer.put(imageStream, claimsOf(object, monorepos))
    return imageStream
  }

  /** What was known before stays known until its page, or the end of the list, says otherwise. */
  const list = async (): Promise<string> => {
    const seen: Required<ImageStream>[] = []
    const resourceVersion = await readPages(kubeConfig, resource, signal, (items) => {
      heardAt = now()
      for (const item of items) seen.push(put(item))
    })
    observer.listed(seen)
    listed = true
    return resourceVersion
  }

  const watch = async (resourceVersion: string): Promise<Progress> => {
    let from = resourceVersion
    onWatch?.()
    const request = { kubeConfig, resource, resourceVersion, signal, silenceMs }
    const error = await readEvents(request, ({ type, object }) => {
      if (type === 'DELETED') observer.remove(nameOf(object))
      else if (type !== 'BOOKMARK') put(object)
      from = object.metadata?.resourceVersion ?? from
      heardAt = now()
    })
    const isLost = error instanceof ResourceVersionExpired
    if (error !== undefined) trouble(isLost ? 'expired' : 'watch', error)
    // A watch that was given up for its silence has waited long enough.
    const hasMoved = from !== resourceVersion || error?.name === 'TimeoutError'
    return { from: isLost ? undefined : from, hasMoved }
  }

  /** @throws {Error} where a list is needed and does not come */
  const goOn = async (from: string | undefined): Promise<Progress> => await watch(from ?? (await list()))

  return {
    start: () => {
      running ??= again(goOn, {
        signal,
        retryMs,
        maxRetryMs,
        onFailure: (error) => trouble('list', error),
      })
    },
    listed: () => listed,
    silentMs: () => now() - heardAt,
    close: async () => {
      ending.abort()
      await running
    },
  }
}

interface Progress {
  /** The resource version that the next watch has to begin at; undefined where only a new list can tell. */
  readonly from: string | undefined
  /** Whether it brought something, so that there is no reason to wait before the next. */
  readonly hasMoved: boolean
}

/** Again and again, each time from where the last one ended, until `signal` says otherwise. */
const again = async (
  goOn: (from: string | undefined) => Promise<Progress>,
  { signal, retryMs, maxRetryMs, onFailure }: Retry,
): Promise<void> => {
  let progress: Progress = { from: undefined, hasMoved: false }
  for (let failures = 0; !signal.aborted;) {
    try {
      progress = await goOn(progress.from)
    } catch (error) {
      progress = { ...progress, hasMoved: false }
      onFailure(error as Error)
    }
    failures = progress.hasMoved ? 0 : failures + 1
    // Replicas that lost the same API server do not come back in step.
    if (failures > 0)
      await pause(backoffMs(failures - 1, { firstMs: retryMs, longestMs: maxRetryMs }), signal)
  }
}

interface Retry {
  readonly signal: AbortSignal
  readonly retryMs: number
  readonly maxRetryMs: number
  readonly onFailure: (error: Error) => void
}

/** As much of an ImageStream as is read. All of it may be absent: it is somebody else's object. */
interface Status {
  readonly tags?: readonly StatusTag[] | null
}
interface StatusTag {
  readonly tag?: string
  readonly items?: readonly { readonly image?: string; readonly dockerImageReference?: string }[] | null
}
interface Spec {
  readonly tags?: readonly SpecTag[] | null
}
interface SpecTag {
  readonly name?: string
  readonly from?: { readonly kind?: string; readonly name?: string } | null
}

const nameOf = ({ metadata = {} }: WatchedObject): Required<ImageStream> => {
  const { namespace = '', name = '' } = metadata
  if (namespace === '' || name === '') throw new Error('an ImageStream without a namespace or a name')
  return { namespace, name }
}

/** Every image that a tag points to, or pointed to and is still remembered for: the newest first, for each tag. */
const claimsOf = ({ spec, status }: WatchedObject, monorepos: readonly string[]): readonly TagClaim[] => {
  const fromStatus = ((status ?? {}) as Status).tags ?? []
  const fromSpec = ((spec ?? {}) as Spec).tags ?? []
  return [
    ...fromStatus.flatMap(({ tag = '', items }) =>
      (items ?? []).map(({ image = '', dockerImageReference }) => ({
        tag,
        // Promotion writes reference tags (`oc tag --reference`): OpenShift imports nothing then, and leaves `image` empty.
        digest: isDigest(image) ? image : digestIn(dockerImageReference, monorepos),
      })),
    ),
    ...fromSpec.map(({ name = '', from }) => ({
      tag: name,
      digest: from?.kind === 'DockerImage' ? digestIn(from.name, monorepos) : undefined,
    })),
  ].flatMap(({ tag, digest }) => (digest === undefined || typeof tag !== 'string' ? [] : [{ tag, digest }]))
}

/** `<monorepo>@<digest>`; of another repository, or of a tag, nothing is known by it. */
const digestIn = (reference: string | undefined, monorepos: readonly string[]): Digest | undefined => {
  if (typeof reference !== 'string') return undefined
  const at = reference.lastIndexOf('@')
  const digest = reference.slice(at + 1)
  return at > 0 && monorepos.includes(reference.slice(0, at)) && isDigest(digest) ? digest : undefined
}
