/**
 * Lists and watches the ImageStreams of app.ci, and tells an observer what a reader takes of each of them.
 *
 * Not `makeInformer` of client-node: it keeps whole objects (an ImageStream of app.ci has up to megabytes of status, of which the proxy
 * needs the digests), lists without pages, stops at the first error that is not a 410, and counts an ERROR event as progress. So this
 * file uses only its `Watch`.
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import type { KubeConfig } from '@kubernetes/client-node'
import { backoffMs, pause } from '../concurrency/backoff.ts'
import type { ImageStream } from '../oci/reference.ts'
import { ResourceVersionExpired, readEvents, readPages } from './list-and-watch.ts'
import type { WatchedObject } from './watched-object.ts'

/** Called in the order of the API server's events. */
export interface ImageStreamObserver<Value> {
  /** An image stream exists, and this is what was read of it. */
  readonly put: (imageStream: Required<ImageStream>, value: Value) => void
  readonly remove: (imageStream: Required<ImageStream>) => void
  /** A list is complete: image streams that are not in it do not exist any more. */
  readonly listed: (imageStreams: readonly Required<ImageStream>[]) => void
}

/** What failed: a list, a watch, or a watch whose resource version is too old to continue from. */
export type WatchFailure = 'list' | 'watch' | 'expired'

export interface ImageStreamsOptions<Value> {
  readonly kubeConfig: KubeConfig
  readonly observer: ImageStreamObserver<Value>
  /** Selects the part of an object that is kept. @throws {Error} if the object cannot be used: then all objects are listed again */
  readonly read: (object: WatchedObject, imageStream: Required<ImageStream>) => Value
  /** Objects of a page of a list. A page is in memory as a whole. */
  readonly pageSize?: number
  /** Called for each list or watch that failed. It is retried; the observer keeps the claims that it has. */
  readonly onFailure: (failure: WatchFailure, error: Error) => void
  /** Called at the start of each watch. */
  readonly onWatch?: () => void
  /** Milliseconds to wait after a failure; doubled for each further one, up to `maxRetryMs`. */
  readonly retryMs?: number
  readonly maxRetryMs?: number
  /** Milliseconds without any event after which a watch is ended: the API server sends a bookmark about every minute. */
  readonly silenceMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

const resource = { group: 'image.openshift.io', version: 'v1', plural: 'imagestreams' }

export class ImageStreamWatch<Value> {
  readonly #options: ImageStreamsOptions<Value>
  readonly #now: () => number
  readonly #ending = new AbortController()
  /** Ends the watch that runs. */
  #relisting = new AbortController()
  #heardAt: number
  #listed = false
  #running: Promise<void> | undefined

  constructor(options: ImageStreamsOptions<Value>) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#heardAt = this.#now()
  }

  /** Runs until `close`; further calls do nothing. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Lists all again: the reader takes something else of them now. */
  relist(): void {
    this.#relisting.abort()
  }

  /** True once a first list was complete. */
  listed(): boolean {
    return this.#listed
  }

  /** Milliseconds since the last event, bookmark or page of a list; since the creation of this watch if there was none. */
  silentMs(): number {
    return this.#now() - this.#heardAt
  }

  async close(): Promise<void> {
    this.#ending.abort()
    await this.#running
  }

  /** Lists and watches again and again, each time from where the last attempt ended. */
  async #run(): Promise<void> {
    const { retryMs = 500, maxRetryMs = 30_000 } = this.#options
    const { signal } = this.#ending
    let progress: Progress = { from: undefined, hasMoved: false }
    for (let failures = 0; !signal.aborted;) {
      try {
        progress = await this.#watch(progress.from ?? (await this.#list()))
      } catch (error) {
        progress = { ...progress, hasMoved: false }
        this.#failed('list', error as Error)
      }
      failures = progress.hasMoved ? 0 : failures + 1
      // With jitter: replicas that lost the same API server do not return at the same moment.
      if (failures > 0)
        await pause(backoffMs(failures - 1, { firstMs: retryMs, longestMs: maxRetryMs }), signal)
    }
  }

  /**
   * The observer keeps its claims until a page or the end of the list replaces them.
   * @returns the resource version that a watch continues from
   * @throws {Error} if a page does not come
   */
  async #list(): Promise<string> {
    const { kubeConfig, observer, pageSize } = this.#options
    this.#relisting = new AbortController()
    const seen: Required<ImageStream>[] = []
    const onPage = (items: readonly WatchedObject[]): void => {
      this.#heardAt = this.#now()
      for (const item of items) seen.push(this.#put(item))
    }
    const bounds = pageSize === undefined ? {} : { pageSize }
    const resourceVersion = await readPages(kubeConfig, resource, this.#ending.signal, onPage, bounds)
    observer.listed(seen)
    this.#listed = true
    return resourceVersion
  }

  async #watch(resourceVersion: string): Promise<Progress> {
    const { kubeConfig, observer, onWatch, silenceMs = 90_000 } = this.#options
    let from = resourceVersion
    onWatch?.()
    const { signal: relisting } = this.#relisting
    const signal = AbortSignal.any([this.#ending.signal, relisting])
    const request = { kubeConfig, resource, resourceVersion, signal, silenceMs }
    const error = await readEvents(request, ({ type, object }) => {
      if (type === 'DELETED') observer.remove(nameOf(object))
      else if (type !== 'BOOKMARK') this.#put(object)
      from = object.metadata?.resourceVersion ?? from
      this.#heardAt = this.#now()
    })
    const isExpired = error instanceof ResourceVersionExpired
    if (error !== undefined) this.#failed(isExpired ? 'expired' : 'watch', error)
    // A watch that was ended because of its silence has waited long enough.
    const hasMoved = from !== resourceVersion || error?.name === 'TimeoutError' || relisting.aborted
    return { from: isExpired || relisting.aborted ? undefined : from, hasMoved }
  }

  #put(object: WatchedObject): Required<ImageStream> {
    const { observer, read } = this.#options
    const imageStream = nameOf(object)
    observer.put(imageStream, read(object, imageStream))
    return imageStream
  }

  #failed(failure: WatchFailure, error: Error): void {
    if (!this.#ending.signal.aborted) this.#options.onFailure(failure, error)
  }
}

interface Progress {
  /** The resource version that the next watch begins at; undefined if only a new list can tell. */
  readonly from: string | undefined
  /** Whether it received anything, so that the next one need not wait. */
  readonly hasMoved: boolean
}

const nameOf = ({ metadata = {} }: WatchedObject): Required<ImageStream> => {
  const { namespace = '', name = '' } = metadata
  if (namespace === '' || name === '') throw new Error('an ImageStream without a namespace or a name')
  return { namespace, name }
}
