/** The ImageStreams of app.ci: lists and watches of `image.openshift.io/v1`, and their failures. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from './reviews.ts'
import { failure } from './reviews.ts'

/** The target of a tag: the digest of an imported image, or only a reference. */
export type ImageStreamItem = string | ReferenceItem

/**
 * Promotion of ci-operator to payload namespaces (`oc tag --reference`): OpenShift imports nothing, so the item has no `image`, and only
 * `dockerImageReference` has the digest. Source: openshift-apiserver pkg/image/apiserver/registry/imagestream/strategy.go
 * tagReferenceToTagEvent
 */
export interface ReferenceItem {
  /** The whole pull spec, such as that of `promotedBy(digest)`. */
  readonly reference: string
}

/** The item that promotion writes. Source: ci-tools pkg/api/promotion.go, QuayImageReference */
export const promotedBy = (
  digest: string,
  repository = 'quay-proxy.ci.openshift.org/openshift/ci',
): ReferenceItem => ({
  reference: `${repository}@${digest}`,
})

export interface ImageStreamSpec {
  readonly namespace: string
  readonly name: string
  /** Tag -> its targets, newest first. */
  readonly tags: Readonly<Record<string, readonly ImageStreamItem[]>>
}

export interface ImageStreams {
  /** Creates or replaces an ImageStream. */
  put(imageStream: ImageStreamSpec): void
  delete(namespace: string, name: string): void
  /** Sends a bookmark to every watch: the current resource version, or `object`. */
  bookmark(object?: object): void
  /** Ends every watch: without an error, as after its time, or in the middle of a line. */
  cut(how?: 'cleanly' | 'mid-line'): void
  /** Forgets all events so far. A request for them gets 410, either as the status or as an event of the watch. */
  expire(as?: 'event' | 'status'): void
  /** Lists (each page counts) and watches so far. */
  readonly requests: { readonly pages: number; readonly watches: number }
  /** Watches that are open. */
  readonly watching: number
  /** Number of ImageStreams. */
  readonly count: number
}

export const imageStreamsPath = '/apis/image.openshift.io/v1/imagestreams'

interface Event {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: ReturnType<typeof objectOf>
}

const apiVersion = 'image.openshift.io/v1'

export class SandboxImageStreams implements ImageStreams {
  readonly requests = { pages: 0, watches: 0 }
  readonly #objects = new Map<string, Event['object']>()
  readonly #watches = new Set<ServerResponse>()
  #history: Event[] = []
  #version = 1000
  #oldest = 1000
  #expiredAs: 'event' | 'status' = 'event'

  get watching(): number {
    return this.#watches.size
  }

  get count(): number {
    return this.#objects.size
  }

  put(imageStream: ImageStreamSpec): void {
    const key = `${imageStream.namespace}/${imageStream.name}`
    const type = this.#objects.has(key) ? 'MODIFIED' : 'ADDED'
    const object = objectOf(imageStream, ++this.#version)
    this.#objects.set(key, object)
    this.#tell({ type, object })
  }

  delete(namespace: string, name: string): void {
    const object = this.#objects.get(`${namespace}/${name}`)
    if (object === undefined) return
    this.#objects.delete(`${namespace}/${name}`)
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) }
    this.#tell({ type: 'DELETED', object: { ...object, metadata } })
  }

  bookmark(
    object: object = {
      apiVersion,
      kind: 'ImageStream',
      metadata: { resourceVersion: String(this.#version) },
    },
  ): void {
    for (const watch of this.#watches) writeLine(watch, { type: 'BOOKMARK', object })
  }

  cut(how: 'cleanly' | 'mid-line' = 'cleanly'): void {
    for (const watch of this.#watches)
      if (how === 'cleanly') watch.end()
      else watch.write('{"type":"ADDED","object":{"metadata":', () => watch.destroy())
    this.#watches.clear()
  }

  expire(as: 'event' | 'status' = 'event'): void {
    this.#expiredAs = as
    this.#history = []
    this.#oldest = ++this.#version
  }

  /** A page; undefined for a watch, whose answer goes on until the watch ends. */
  answer({ pathname, searchParams: query }: URL, response: ServerResponse): Answer | undefined {
    if (query.get('watch') !== 'true') return this.#page(query, namespaceOf(pathname))
    return this.#watch(Number(query.get('resourceVersion')), response)
  }

  #tell(event: Event): void {
    this.#history.push(event)
    for (const watch of this.#watches) writeLine(watch, event)
  }

  /** All pages show the state at the time of the first page, which `continue` names. After a change, `continue` gets 410. */
  #page(query: URLSearchParams, namespace: string | undefined): Answer {
    this.requests.pages++
    const [version = String(this.#version), from = '0'] = query.get('continue')?.split('/') ?? []
    if (version !== String(this.#version)) return gone
    const limit = Number(query.get('limit') ?? '0') || Infinity
    const name = /^metadata\.name=(.+)$/.exec(query.get('fieldSelector') ?? '')?.[1]
    const all = [...this.#objects.values()].filter(
      ({ metadata }) =>
        (namespace ?? metadata.namespace) === metadata.namespace && (name ?? metadata.name) === metadata.name,
    )
    const end = Number(from) + limit
    const next = end < all.length ? { continue: `${version}/${end}` } : {}
    const metadata = { resourceVersion: version, ...next }
    return {
      status: 200,
      body: { apiVersion, kind: 'ImageStreamList', metadata, items: all.slice(Number(from), end) },
    }
  }

  #watch(from: number, response: ServerResponse): Answer | undefined {
    this.requests.watches++
    const isGone = from < this.#oldest
    if (isGone && this.#expiredAs === 'status') return gone
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.flushHeaders()
    if (isGone) {
      writeLine(response, { type: 'ERROR', object: gone.body })
      response.end()
      return undefined
    }
    for (const event of this.#history)
      if (Number(event.object.metadata.resourceVersion) > from) writeLine(response, event)
    this.#watches.add(response)
    response.on('close', () => this.#watches.delete(response))
    return undefined
  }
}

/** Whether a request is a list or a watch, and its verb in RBAC. */
export const imageStreamsVerb = ({ method, url = '' }: IncomingMessage): 'list' | 'watch' | undefined => {
  const { pathname, searchParams } = new URL(url, 'http://sandbox')
  const isKnown = pathname === imageStreamsPath || namespaceOf(pathname) !== undefined
  if (method !== 'GET' || !isKnown) return undefined
  return searchParams.get('watch') === 'true' ? 'watch' : 'list'
}

/** The namespace of the list. */
export const namespaceOf = (pathname: string): string | undefined =>
  /^\/apis\/image\.openshift\.io\/v1\/namespaces\/([a-z0-9-]+)\/imagestreams$/.exec(pathname)?.[1]

const gone = failure(410, 'Expired', 'too old resource version')

const writeLine = (watch: ServerResponse, event: object) => watch.write(`${JSON.stringify(event)}\n`)

const objectOf = ({ namespace, name, tags }: ImageStreamSpec, version: number) => ({
  apiVersion,
  kind: 'ImageStream',
  metadata: { namespace, name, resourceVersion: String(version) },
  spec: { tags: Object.entries(tags).flatMap(([tag, [newest]]) => specTagOf(tag, newest)) },
  status: {
    tags: Object.entries(tags).map(([tag, items]) => ({ tag, items: items.map(statusItemOf) })),
  },
})

/** Only a tag by reference has an entry in the spec. Pushed images are only in the status. */
const specTagOf = (tag: string, newest: ImageStreamItem | undefined) =>
  typeof newest === 'object'
    ? [
        {
          name: tag,
          from: { kind: 'DockerImage', name: newest.reference },
          reference: true,
          referencePolicy: { type: 'Source' },
        },
      ]
    : []

const statusItemOf = (item: ImageStreamItem) =>
  typeof item === 'object'
    ? { created, dockerImageReference: item.reference, image: '', generation: 1 }
    : { created, dockerImageReference: `quay.io/openshift/ci@${item}`, image: item, generation: 1 }

const created = '2026-11-01T00:00:00Z'
