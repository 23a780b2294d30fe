/**
 * Two requests of the Kubernetes API: a list in pages, and a watch of one connection. Neither keeps an object.
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
import { printable } from './foreign-text.ts'

export interface Resource {
  readonly group: string
  readonly version: string
  readonly plural: string
}

export interface WatchedObject {
  readonly metadata?: {
    readonly namespace?: string
    readonly name?: string
    readonly resourceVersion?: string
  }
  readonly spec?: unknown
  readonly status?: unknown
}

/** Objects of a page: a few dozen milliseconds of parsing, in which no pull goes on. */
const pageSize = 500
/** Milliseconds for one page. */
const pageTimeoutMs = 60_000

interface Page {
  readonly items: readonly WatchedObject[]
  readonly next: string | undefined
  readonly resourceVersion: string
}

/**
 * Attack: a web server in the API server's place answers 200 to everything. Taken for a list, its page would be one without any object:
 * whatever was known would be gone.
 * @throws {Error} for whatever is no list of this resource; holds nothing of what was answered
 */
const pageOf = (answer: unknown, { group, version }: Resource): Page => {
  const { apiVersion, kind, metadata, items } = objectOf(answer)
  const { continue: next, resourceVersion } = objectOf(metadata)
  const isList = apiVersion === `${group}/${version}` && typeof kind === 'string' && kind.endsWith('List')
  if (!isList || typeof resourceVersion !== 'string' || resourceVersion === '')
    throw new Error('API server answered with what is no list')
  // Go writes null for an empty list.
  const found: unknown = items ?? []
  if (!Array.isArray(found)) throw new Error('API server answered with a list whose items are none')
  return {
    items: found.map(watchedOf),
    next: typeof next === 'string' && next !== '' ? next : undefined,
    resourceVersion,
  }
}

const eventTypes = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'])

/** @throws {Error} for what is no object of the API: what is kept by its names, and gone on from, has to be text */
const watchedOf = (value: unknown): WatchedObject => {
  const metadata = objectOf(objectOf(value)['metadata'])
  const names = [metadata['namespace'], metadata['name'], metadata['resourceVersion']]
  if (value !== objectOf(value) || names.some((name) => typeof (name ?? '') !== 'string'))
    throw new Error('API server gave what is no object with names')
  return value
}

const objectOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}

type Dispatcher = NonNullable<ReturnType<RequestContext['getDispatcher']>>

/**
 * Every page of one list, all of one moment: the resource version that a watch continues from.
 *
 * @throws {Error} where a page does not come, or is no list; a 410, which says that the list took too long, is no exception to that
 */
export const readPages = async (
  kubeConfig: KubeConfig,
  resource: Resource,
  signal: AbortSignal,
  onPage: (items: readonly WatchedObject[]) => void,
): Promise<string> => {
  const api = kubeConfig.makeApiClient(CustomObjectsApi)
  for (let next: string | undefined; ;) {
    let dispatcher: Dispatcher | undefined
    const pre = (context: RequestContext) => {
      context.setSignal(AbortSignal.any([signal, AbortSignal.timeout(pageTimeoutMs)]))
      dispatcher = context.getDispatcher()
      return new Observable(Promise.resolve(context))
    }
    const middleware = [{ pre, post: (answer: never) => new Observable(Promise.resolve(answer)) }]
    const request = {
      ...resource,
      limit: pageSize,
      ...(next === undefined ? {} : { _continue: next }),
    }
    const options: ConfigurationOptions = { middleware, middlewareMergeStrategy: 'append' }
    try {
      const page = pageOf(await api.listClusterCustomObject(request, options), resource)
      onPage(page.items)
      next = page.next
      if (next === undefined) return page.resourceVersion
    } catch (error) {
      // Its own message holds the whole answer, headers included.
      throw error instanceof ApiException ? new Error(`API server answered ${error.code}`) : error
    } finally {
      // client-node builds a connection pool for every request.
      await dispatcher?.destroy()
    }
  }
}

/** The watch cannot be resumed: what happened in between can only be listed. */
export class ResourceVersionExpired extends Error {
  override readonly name = 'ResourceVersionExpired'
}

export interface WatchRequest {
  readonly kubeConfig: KubeConfig
  readonly resource: Resource
  readonly signal: AbortSignal
  /** Milliseconds without a word after which it is given up. */
  readonly silenceMs: number
  readonly resourceVersion: string
}

/** Resolves when the watch has ended: with what ended it, or undefined where that was the API server's usual end. */
export const readEvents = async (
  { kubeConfig, resource, resourceVersion, signal, silenceMs }: WatchRequest,
  onEvent: (event: { readonly type: string; readonly object: WatchedObject }) => void,
): Promise<Error | undefined> => {
  if (signal.aborted) return undefined
  let dispatcher: Dispatcher | undefined
  // The same kubeconfig, but for a look at the connection pool that client-node builds for this watch.
  const observed = Object.create(kubeConfig) as KubeConfig
  observed.applySecurityAuthentication = async (context) => {
    await kubeConfig.applySecurityAuthentication(context)
    dispatcher = context.getDispatcher()
  }
  const connection = new Watch(observed)
  Object.assign(connection, { requestTimeoutMs: silenceMs })
  const { promise, resolve } = Promise.withResolvers<Error | undefined>()
  let ended = false
  // What a cut connection had still in its buffer after this comes again with the next watch.
  const end = (error: Error | undefined) => {
    ended = true
    resolve(error)
  }
  const onAbort = () => end(undefined)
  signal.addEventListener('abort', onAbort)
  const received = (type: string, object: unknown) => {
    if (ended) return
    try {
      const { code, message } = objectOf(object)
      if (type === 'ERROR') throw new Error(printable(`${String(code)} ${String(message)}`))
      if (!eventTypes.has(type)) throw new Error('API server told of no event that there is')
      onEvent({ type, object: watchedOf(object) })
    } catch (error) {
      // Watch would swallow it, and go on with the next event as if nothing was missing.
      end(new ResourceVersionExpired((error as Error).message))
    }
  }
  const query = { resourceVersion, allowWatchBookmarks: true }
  const watching = connection
    .watch(
      `/apis/${resource.group}/${resource.version}/${resource.plural}`,
      query,
      received,
      (error: (Error & { statusCode?: number }) | null) =>
        end(error?.statusCode === 410 ? new ResourceVersionExpired('410 Gone') : (error ?? undefined)),
    )
    .then((controller) => promise.then(() => controller.abort()))
    .catch(end)
  const error = await promise
  signal.removeEventListener('abort', onAbort)
  await dispatcher?.destroy()
  void watching
  return error
}
