/**
 * Two requests of the Kubernetes API: a list in pages, and a watch over one connection. Neither keeps an object in memory.
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import {
  ApiException,
  CustomObjectsApi,
  Observable,
  Watch,
  type ConfigurationOptions,
  type KubeConfig,
  type RequestContext,
} from '@kubernetes/client-node'
import { onAbort } from '../concurrency/abortable.ts'
import { printable, statusMessage } from './foreign-text.ts'
import { objectOf, watchedOf, type WatchedObject } from './watched-object.ts'

export interface Resource {
  readonly group: string
  readonly version: string
  readonly plural: string
}

/** Objects of a page: parsing it blocks the event loop, and thus all pulls, for a few dozen milliseconds. */
const defaultPageSize = 500
/** Milliseconds for one page. */
const pageTimeoutMs = 60_000

interface Page {
  readonly items: readonly WatchedObject[]
  readonly next: string | undefined
  readonly resourceVersion: string
}

/**
 * Attack: a web server at the API server's address answers 200 to everything. Read as a list, its page would have no objects, and all
 * cached image streams would be dropped.
 * @throws {Error} if the answer is not a list of this resource; the message quotes nothing of the answer
 */
const pageOf = (answer: unknown, { group, version }: Resource): Page => {
  const { apiVersion, kind, metadata, items } = objectOf(answer)
  const { continue: next, resourceVersion } = objectOf(metadata)
  const isList = apiVersion === `${group}/${version}` && typeof kind === 'string' && kind.endsWith('List')
  if (!isList || typeof resourceVersion !== 'string' || resourceVersion === '')
    throw new Error('API server answered with something other than a list')
  // Go writes null for an empty list.
  const found: unknown = items ?? []
  if (!Array.isArray(found)) throw new Error('API server answered with a list without valid items')
  return {
    items: found.map(watchedOf),
    next: typeof next === 'string' && next !== '' ? next : undefined,
    resourceVersion,
  }
}

const eventTypes = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'])

type Dispatcher = NonNullable<ReturnType<RequestContext['getDispatcher']>>

/** Which objects are listed: all of the cluster, unless given. */
export interface ListBounds {
  readonly namespace?: string
  /** The one object of this name. It is listed: a role with `list` and without `get` has to do. */
  readonly name?: string
  readonly pageSize?: number
}

/**
 * Reads every page of one list; all pages are of one moment.
 * @returns the resource version that a watch continues from
 * @throws {Error} if a page does not come, or is no list; also on a 410, which says that the list took too long
 */
export const readPages = async (
  kubeConfig: KubeConfig & { readonly userAgent?: string | undefined },
  resource: Resource,
  signal: AbortSignal,
  onPage: (items: readonly WatchedObject[]) => void,
  { namespace, name, pageSize = defaultPageSize }: ListBounds = {},
): Promise<string> => {
  const api = kubeConfig.makeApiClient(CustomObjectsApi)
  for (let next: string | undefined; ;) {
    let dispatcher: Dispatcher | undefined
    const pre = (context: RequestContext) => {
      context.setSignal(AbortSignal.any([signal, AbortSignal.timeout(pageTimeoutMs)]))
      dispatcher = context.getDispatcher()
      // client-node replaces the one of the kubeconfig by its own.
      if (kubeConfig.userAgent !== undefined) context.setHeaderParam('User-Agent', kubeConfig.userAgent)
      return new Observable(Promise.resolve(context))
    }
    const middleware = [{ pre, post: (answer: never) => new Observable(Promise.resolve(answer)) }]
    const request = {
      ...resource,
      limit: pageSize,
      ...(next === undefined ? {} : { _continue: next }),
      ...(name === undefined ? {} : { fieldSelector: `metadata.name=${name}` }),
    }
    const options: ConfigurationOptions = { middleware, middlewareMergeStrategy: 'append' }
    try {
      const answer =
        namespace === undefined
          ? await api.listClusterCustomObject(request, options)
          : await api.listNamespacedCustomObject({ ...request, namespace }, options)
      const page = pageOf(answer, resource)
      onPage(page.items)
      next = page.next
      if (next === undefined) return page.resourceVersion
    } catch (error) {
      throw error instanceof ApiException ? refusal(error) : error
    } finally {
      // client-node creates a connection pool for every request.
      await dispatcher?.destroy()
    }
  }
}

/** The message of an ApiException holds the whole answer with its headers. That of a Status names the right that is missing. */
const refusal = ({ code, body }: ApiException<unknown>): Error => {
  const why = code === 403 && typeof body === 'string' ? `: ${statusMessage(body)}` : ''
  return new Error(`API server answered ${code}${why}`)
}

/** The watch cannot be resumed: only a new list shows what changed since then. */
export class ResourceVersionExpired extends Error {
  override readonly name = 'ResourceVersionExpired'
}

export interface WatchRequest {
  readonly kubeConfig: KubeConfig
  readonly resource: Resource
  readonly signal: AbortSignal
  /** Milliseconds without any event after which the watch is ended. */
  readonly silenceMs: number
  readonly resourceVersion: string
}

type OnEvent = (event: { readonly type: string; readonly object: WatchedObject }) => void

/** Resolves when the watch has ended: with the error that ended it, or undefined if the API server ended it as usual. */
export const readEvents = async (request: WatchRequest, onEvent: OnEvent): Promise<Error | undefined> =>
  request.signal.aborted ? undefined : await new EventReader(request, onEvent).read()

/** One watch. */
class EventReader {
  readonly #request: WatchRequest
  readonly #onEvent: OnEvent
  readonly #result = Promise.withResolvers<Error | undefined>()
  #hasEnded = false
  #dispatcher: Dispatcher | undefined

  constructor(request: WatchRequest, onEvent: OnEvent) {
    this.#request = request
    this.#onEvent = onEvent
  }

  async read(): Promise<Error | undefined> {
    using _listener = onAbort(this.#request.signal, () => this.#end(undefined))
    void this.#connect()
    const error = await this.#result.promise
    await this.#dispatcher?.destroy()
    return error
  }

  async #connect(): Promise<void> {
    const { resource, resourceVersion, silenceMs } = this.#request
    const watch = new Watch(this.#observedConfig())
    Object.assign(watch, { requestTimeoutMs: silenceMs })
    const path = `/apis/${resource.group}/${resource.version}/${resource.plural}`
    const query = { resourceVersion, allowWatchBookmarks: true }
    const received = (type: string, object: unknown) => this.#receive(type, object)
    try {
      const controller = await watch.watch(path, query, received, (error) => this.#done(error))
      await this.#result.promise
      controller.abort()
    } catch (error) {
      this.#end(error as Error)
    }
  }

  /** The same kubeconfig. It also shows the connection pool that client-node creates for this watch. */
  #observedConfig(): KubeConfig {
    const { kubeConfig } = this.#request
    const observed = Object.create(kubeConfig) as KubeConfig
    observed.applySecurityAuthentication = async (context) => {
      await kubeConfig.applySecurityAuthentication(context)
      this.#dispatcher = context.getDispatcher()
    }
    return observed
  }

  #receive(type: string, object: unknown): void {
    // The next watch repeats the events that a cut connection still has in its buffer.
    if (this.#hasEnded) return
    try {
      const { code, message } = objectOf(object)
      if (type === 'ERROR') throw new Error(printable(`${String(code)} ${String(message)}`))
      if (!eventTypes.has(type)) throw new Error('API server sent an event of an unknown type')
      this.#onEvent({ type, object: watchedOf(object) })
    } catch (error) {
      // Watch would drop the error and continue with the next event, so that one event would be missing.
      this.#end(new ResourceVersionExpired((error as Error).message))
    }
  }

  #done(error: (Error & { statusCode?: number }) | null): void {
    this.#end(error?.statusCode === 410 ? new ResourceVersionExpired('410 Gone') : (error ?? undefined))
  }

  #end(error: Error | undefined): void {
    this.#hasEnded = true
    this.#result.resolve(error)
  }
}
