/**
 * The manifests of one repository: resolves tags, reads manifests, and pushes manifests byte for byte, so that their digests stay the same.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */
import { isDigest, type Digest } from '../../oci/digest.ts'
import { parseAnswer } from '../../oci/json-bounds.ts'
import { isNameComponent, isTag } from '../../oci/name-grammar.ts'
import { mediaTypeOf, single } from '../../upstream/client/response-fields.ts'
import { abandon, BodyTooLarge, discard, readBody } from './body.ts'
import { RegistryFailure } from './failure.ts'
import type { RegistryRequest } from './registry-client-options.ts'
import type { RegistryClient } from './registry-client.ts'
import type { RegistryReply } from './registry-connection.ts'
import { scopeOf, type Scope } from './tokens.ts'
import { hasDigest, sha256Of } from './verified.ts'

export interface Manifest {
  readonly bytes: Buffer
  readonly mediaType: string
  readonly digest: Digest
}

/** Bytes. The spec asks registries to take 4 MiB. */
const maxManifestBytes = 4 * 1024 * 1024

/** Includes schema 1, which is refused later with a clear message. */
const accept = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1',
  'application/vnd.docker.distribution.manifest.v1+json;q=0.1',
].join(', ')

export interface RepositoryOptions {
  readonly client: RegistryClient
  /** `openshift/ci` */
  readonly name: string
  readonly mayPush: boolean
  /** The image that the requests are for. Images take turns. */
  readonly image: string
  readonly signal?: AbortSignal | undefined
  readonly priority?: RegistryRequest['priority']
}

export class Repository {
  readonly options: RepositoryOptions
  readonly scopes: readonly Scope[]

  /** @throws {RegistryFailure} if the name is not one of a repository */
  constructor(options: RepositoryOptions) {
    // Attack: `a/../b` or `b?x` in a configuration would be a request for another repository.
    if (!isRepositoryName(options.name))
      throw new RegistryFailure('refused', `${JSON.stringify(options.name)} is not the name of a repository`)
    this.options = options
    this.scopes = [scopeOf(options.name, options.mayPush ? 'pull,push' : 'pull')]
  }

  /** `quay.io/openshift/ci` */
  get label(): string {
    return `${this.options.client.origin.host}/${this.options.name}`
  }

  /** The digest of a tag, by one HEAD. Undefined if the tag does not exist. @throws {RegistryFailure} */
  async resolve(tagOrDigest: string): Promise<Digest | undefined> {
    const reply = await this.send('HEAD', manifestPath(tagOrDigest), { headers: { accept } })
    await discard(reply.body)
    if (reply.status === 404) return undefined
    this.expect(reply, [200], `the manifest ${tagOrDigest}`)
    const digest = single(reply.headers['docker-content-digest'])
    if (digest !== undefined && isDigest(digest)) return digest
    // Not every registry sends the digest.
    return (await this.manifest(tagOrDigest))?.digest
  }

  /**
   * The same by one GET, for a tag that is about to be overwritten. A missing tag counts only if the registry itself reports it in its
   * error: if a load balancer answered 404, an image would be overwritten without a copy.
   */
  async resolveSurely(tag: string): Promise<Digest | undefined> {
    const reply = await this.send('GET', manifestPath(tag), { headers: { accept } })
    if (reply.status !== 404) return (await this.#manifestIn(reply, tag)).digest
    const text = await readBody(reply.body, maxErrorBytes).catch(() => Buffer.alloc(0))
    if (absentCodes.has(codeIn(text.toString()))) return undefined
    throw new RegistryFailure('transient', `${this.label} does not say for certain whether it has ${tag}`)
  }

  /** Undefined if it does not exist. @throws {RegistryFailure} also if the bytes do not match the digest */
  async manifest(tagOrDigest: string): Promise<Manifest | undefined> {
    const reply = await this.send('GET', manifestPath(tagOrDigest), { headers: { accept } })
    if (reply.status === 404) {
      await discard(reply.body)
      return undefined
    }
    return await this.#manifestIn(reply, tagOrDigest)
  }

  async #manifestIn(reply: RegistryReply, tagOrDigest: string): Promise<Manifest> {
    this.expect(reply, [200], `the manifest ${tagOrDigest}`)
    const bytes = await this.#read(reply, tagOrDigest)
    const named = single(reply.headers['docker-content-digest']) ?? ''
    // Attack: the page of a load balancer would be taken for the image that is to be replaced.
    if (![tagOrDigest, named].some(isDigest) && !looksLikeManifest(bytes))
      throw new RegistryFailure('transient', `${this.label} answers to ${tagOrDigest} with no manifest`)
    const digest = [tagOrDigest, named].find(isDigest) ?? sha256Of(bytes)
    if (!hasDigest(bytes, digest))
      throw new RegistryFailure('broken', `${this.label} serves other bytes than those of ${digest}`)
    return { bytes, digest, mediaType: mediaTypeOf(reply.headers) ?? '' }
  }

  /** @param isRepeatable false for a tag that other programs write as well. @throws {RegistryFailure} */
  async putManifest(
    tagOrDigest: string,
    { bytes, mediaType, digest }: Manifest,
    isRepeatable = true,
  ): Promise<void> {
    const { client, name } = this.options
    await client.puts.run(`${name}@${digest}`, async () => {
      const reply = await this.send('PUT', manifestPath(tagOrDigest), {
        headers: { 'content-type': mediaType },
        body: bytes,
        isRepeatable,
      })
      await this.accepted(reply, [201, 200, 202], `the manifest ${digest} as ${tagOrDigest}`)
    })
  }

  /** Below `/v2/<name>/`. @throws {RegistryFailure} */
  async send(
    method: RegistryRequest['method'],
    path: string,
    request: Partial<RegistryRequest> = {},
  ): Promise<RegistryReply> {
    const { client, name, image, signal, priority } = this.options
    return await client.send({
      method,
      url: new URL(`/v2/${name}/${path}`, client.origin),
      scopes: this.scopes,
      repository: name,
      isRepeatable: true,
      image,
      signal,
      priority,
      ...request,
    })
  }

  /** @throws {RegistryFailure} if the status is not expected; the connection is closed then */
  expect(reply: RegistryReply, statuses: readonly number[], what: string): void {
    if (statuses.includes(reply.status)) return
    abandon(reply.body)
    throw this.#failureOf(reply.status, what, '')
  }

  /** The same for an answer whose body matters only if it is an error. */
  async accepted(reply: RegistryReply, statuses: readonly number[], what: string): Promise<void> {
    if (statuses.includes(reply.status)) return await discard(reply.body)
    const text = await readBody(reply.body, maxErrorBytes).catch(() => Buffer.alloc(0))
    throw this.#failureOf(reply.status, what, codeIn(text.toString()))
  }

  #failureOf(status: number, what: string, code: string): RegistryFailure {
    // The registry has deleted blobs of the manifest meanwhile; the next try copies them again.
    const isUnknown = status === 404 || code === 'MANIFEST_BLOB_UNKNOWN' || code === 'BLOB_UNKNOWN'
    return new RegistryFailure(
      isUnknown ? 'transient' : 'refused',
      `${this.label} does not take or give ${what}: ${status}${code === '' ? '' : ` ${code}`}`,
    )
  }

  async #read(reply: RegistryReply, what: string): Promise<Buffer> {
    try {
      return await readBody(reply.body, maxManifestBytes)
    } catch (error) {
      if (error instanceof BodyTooLarge)
        throw new RegistryFailure(
          'refused',
          `${this.label} has a manifest of more than ${maxManifestBytes} bytes: ${what}`,
        )
      throw new RegistryFailure('transient', `${this.label} breaks off the manifest ${what}`, error)
    }
  }
}

const maxErrorBytes = 64 * 1024
/** TAG_EXPIRED is quay's. */
const absentCodes = new Set(['MANIFEST_UNKNOWN', 'NAME_UNKNOWN', 'TAG_EXPIRED'])

/** The code of an error answer. No other text of the server gets into our messages. */
const codeIn = (body: string): string => /"code"\s{0,9}:\s{0,9}"([A-Z_]{1,40})"/.exec(body)?.[1] ?? ''

const isRepositoryName = (name: string): boolean => name.split('/').every(isNameComponent)

/** Attack: `tag?x` would be a request for another tag. @throws {RegistryFailure} */
const manifestPath = (tagOrDigest: string): string => {
  if (isTag(tagOrDigest) || isDigest(tagOrDigest)) return `manifests/${tagOrDigest}`
  throw new RegistryFailure('refused', `${JSON.stringify(tagOrDigest)} is neither a tag nor a digest`)
}

const looksLikeManifest = (bytes: Buffer): boolean => {
  try {
    const value = parseAnswer(bytes)
    return typeof value === 'object' && value !== null && ('schemaVersion' in value || 'mediaType' in value)
  } catch {
    return false
  }
}
