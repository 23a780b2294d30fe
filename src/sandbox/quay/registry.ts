/** The pull half of quay's /v2/: the resource that a path names, the right to read it, and the answer. */
import { htmlAnswer, jsonAnswer } from './answers.ts'
import type { Answer } from './answers.ts'
import type { Exchange } from './origin.ts'
import { apiVersion, challenge, quayError } from './errors.ts'
import { listReferrers, listTags } from './lists.ts'
import type { QuayStore } from './store.ts'
import type { QuayTokens } from './tokens.ts'

export interface QuayRegistryOptions {
  readonly repository: string
  readonly store: QuayStore
  readonly tokens: QuayTokens
  /** The signed URL of a blob, for the robot that requests it. */
  readonly signBlob: (digest: string, username: string) => string
  /** Referrers on one page; quay has no pages of them. */
  readonly referrersPage: number
}

type Resource = (
  options: QuayRegistryOptions,
  reference: string,
  exchange: Exchange,
  username: string,
) => Answer

type ResourceKind = 'manifests' | 'blobs' | 'referrers' | 'tags'

const resourcePath =
  /^\/v2\/(?<name>.+)\/(?:(?<kind>manifests|blobs|referrers)\/(?<reference>[^/]+)|tags\/list)$/

type Route = Readonly<Record<string, string>>

/** The pull half of quay's /v2/ as a function of one request; everything that would write is a 405. */
export const answerRegistry = async (options: QuayRegistryOptions, exchange: Exchange): Promise<Answer> => {
  const { pathname } = exchange.url
  if (pathname === '/v2/auth') return options.tokens.issue(exchange)
  const route: Route | undefined = pathname === '/v2/' ? {} : resourcePath.exec(pathname)?.groups
  if (route === undefined) return htmlAnswer(404)
  const allow = route['kind'] === 'referrers' ? ['GET'] : ['GET', 'HEAD']
  if (!allow.includes(exchange.method)) return htmlAnswer(405, { allow: allow.join(', ') })

  const bearer = await options.tokens.read(exchange)
  const challenged = challenge(exchange, route['name'])
  if (bearer.kind === 'anonymous') return quayError('UNAUTHORIZED', challenged)
  // Not OCI JSON: quay aborts before its own error writer.
  if (bearer.kind === 'invalid') return jsonAnswer(401, { error: bearer.reason }, challenged)
  if (pathname === '/v2/') return jsonAnswer(200, true, apiVersion)
  // quay reveals that a repository is unknown only to callers that could read it. Here these are the callers that may pull the one
  // repository.
  const mayPull = bearer.access.some((grant) => grant.actions.includes('pull'))
  if (!mayPull) return quayError('UNAUTHORIZED', challenged)
  return answerResource(options, route, exchange, bearer.username)
}

const answerResource = (
  options: QuayRegistryOptions,
  route: Route,
  exchange: Exchange,
  username: string,
): Answer => {
  const { name, kind = 'tags', reference = '' } = route
  if (name !== options.repository) return quayError('NAME_UNKNOWN')
  // In a path, clients may percent-encode the colon of a digest.
  return resources[kind as ResourceKind](options, reference.replace(/%3a/i, ':'), exchange, username)
}

/**
 * end-3. A digest is served whatever Accept is. For a tag, the type must be in Accept, because otherwise quay would convert the manifest.
 */
const answerManifest: Resource = ({ store }, reference, exchange) => {
  const isDigest = reference.includes(':')
  const manifest = isDigest ? store.findByDigest(reference) : store.findByTag(reference)
  if (manifest === undefined)
    return quayError(store.isExpired(reference) ? 'TAG_EXPIRED' : 'MANIFEST_UNKNOWN')
  const { mediaType, digest, body } = manifest
  const accepted = (exchange.headers.accept ?? '')
    .split(',')
    .map((range) => range.split(';', 1).join('').trim())
  if (!isDigest && !accepted.includes(mediaType)) return quayError('MANIFEST_UNKNOWN')
  return {
    status: 200,
    headers: { 'content-type': mediaType, 'docker-content-digest': digest },
    body: [body],
  }
}

/** end-2. HEAD is answered here, GET by a 302 that carries the digest; nginx closes the connection after either. */
const answerBlob: Resource = ({ store, signBlob }, digest, { method }, username) => {
  const blob = store.findBlob(digest)
  if (blob === undefined) return quayError('BLOB_UNKNOWN', { connection: 'close' })
  const headers = {
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    'cache-control': 'max-age=31536000',
    connection: 'close',
  }
  if (method === 'GET') return { status: 302, headers: { ...headers, location: signBlob(digest, username) } }
  return { status: 200, headers: { ...headers, 'content-type': 'application/octet-stream' }, body: [blob] }
}

const resources: Readonly<Record<ResourceKind, Resource>> = {
  manifests: answerManifest,
  blobs: answerBlob,
  referrers: ({ store, referrersPage }, digest, exchange) =>
    listReferrers(store, digest, referrersPage, exchange),
  tags: ({ store, repository }, _list, exchange) => listTags(store, repository, exchange),
}
