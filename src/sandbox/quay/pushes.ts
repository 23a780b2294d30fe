/**
 * The push half of quay's /v2/, for a robot that may push: uploads of blobs in chunks, and manifests under their tag or digest.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
 */
import { randomUUID } from 'node:crypto'
import type { Answer } from './answers.ts'
import { challenge, quayError } from './errors.ts'
import { digestOf, type Digest } from './layers.ts'
import type { Exchange } from './origin.ts'
import type { QuayStore } from './store.ts'
import type { QuayTokens } from './tokens.ts'

export interface QuayPushesOptions {
  readonly repository: string
  readonly store: QuayStore
  readonly tokens: Pick<QuayTokens, 'read'>
}

const uploadPath = /^\/v2\/(?<name>.+)\/blobs\/uploads\/(?<id>[\w-]*)$/
const manifestPath = /^\/v2\/(?<name>.+)\/manifests\/(?<reference>[^/]+)$/

export class QuayPushes {
  readonly #options: QuayPushesOptions
  readonly #uploads = new Map<string, Buffer>()

  constructor(options: QuayPushesOptions) {
    this.#options = options
  }

  /** Undefined for a request that is no push. */
  async answer(exchange: Exchange): Promise<Answer | undefined> {
    const { method, url } = exchange
    const upload = uploadPath.exec(url.pathname)?.groups
    const manifest = method === 'PUT' ? manifestPath.exec(url.pathname)?.groups : undefined
    const name = (upload ?? manifest)?.['name']
    if (name === undefined) return undefined
    const bearer = await this.#options.tokens.read(exchange)
    const mayPush =
      bearer.kind === 'token' &&
      bearer.access.some((grant) => grant.name === name && grant.actions.includes('push'))
    if (!mayPush || name !== this.#options.repository)
      return quayError('UNAUTHORIZED', challenge(exchange, name))
    return upload === undefined
      ? this.#putManifest(`${manifest?.['reference']}`, exchange)
      : this.#upload(`${upload['id']}`, exchange)
  }

  #putManifest(reference: string, { headers, body }: Exchange): Answer {
    const { store } = this.#options
    const digest = digestOf(body)
    if (reference.includes(':') && decodeURIComponent(reference) !== digest)
      return quayError('DIGEST_INVALID')
    const mediaType = `${headers['content-type']}`
    const names = namedIn(body)
    if (names === undefined) return quayError('MANIFEST_INVALID')
    const { manifests, blobs } = names
    const isWhole =
      manifests.every((one) => store.findByDigest(one) !== undefined) &&
      blobs.every((one) => store.findBlob(one) !== undefined)
    if (!isWhole) return quayError('MANIFEST_INVALID')
    const manifest = { digest, mediaType, body }
    const content = { ...manifest, manifests: [manifest], blobs: new Map() }
    if (reference.includes(':')) store.push(content)
    else store.tag([reference], content)
    return { status: 201, headers: { 'docker-content-digest': digest } }
  }

  #upload(id: string, { method, url, body }: Exchange): Answer {
    if (method === 'POST') return this.#begin(url)
    const before = this.#uploads.get(id)
    if (before === undefined) return quayError('BLOB_UPLOAD_UNKNOWN')
    if (method === 'DELETE') {
      this.#uploads.delete(id)
      return { status: 204 }
    }
    const bytes = Buffer.concat([before, body])
    this.#uploads.set(id, bytes)
    if (method !== 'PUT') return this.#stateOf(method === 'GET' ? 204 : 202, url.pathname, bytes)
    this.#uploads.delete(id)
    const digest = digestOf(bytes)
    if (url.searchParams.get('digest') !== digest) return quayError('DIGEST_INVALID')
    this.#options.store.pushBlob(digest, bytes)
    return { status: 201, headers: { 'docker-content-digest': digest } }
  }

  #begin(url: URL): Answer {
    const mounted = url.searchParams.get('mount')
    if (mounted !== null && this.#options.store.findBlob(mounted) !== undefined)
      return { status: 201, headers: { 'docker-content-digest': mounted } }
    const id = randomUUID()
    this.#uploads.set(id, Buffer.alloc(0))
    return this.#stateOf(202, `${url.pathname}${id}`, Buffer.alloc(0))
  }

  #stateOf(status: number, path: string, bytes: Buffer): Answer {
    const range = `0-${Math.max(0, bytes.length - 1)}`
    return { status, headers: { location: path, range } }
  }
}

interface Named {
  readonly manifests: readonly Digest[]
  readonly blobs: readonly Digest[]
}

/** What a manifest names; undefined if it is no JSON. */
const namedIn = (body: Buffer): Named | undefined => {
  try {
    const { manifests = [], config, layers = [] } = JSON.parse(body.toString()) as Document
    return {
      manifests: manifests.map(({ digest }) => digest),
      blobs: [...(config === undefined ? [] : [config]), ...layers].map(({ digest }) => digest),
    }
  } catch {
    return undefined
  }
}

type Entry = { readonly digest: Digest }
interface Document {
  readonly manifests?: readonly Entry[]
  readonly config?: Entry
  readonly layers?: readonly Entry[]
}
