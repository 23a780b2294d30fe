/**
 * Fetches the list of manifests that refer to a digest (signatures, SBOMs).
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
 */
import { unavailable, unsupported } from '../oci/errors.ts'
import { indexMediaType, readDescriptor, type Descriptor } from '../oci/descriptor.ts'
import { parseAnswer } from '../oci/json-bounds.ts'
import type { Referrers, ReferrersRequest } from '../oci/image-source.ts'
import { readBounded } from './client/bounded-body.ts'
import { single } from './client/response-fields.ts'
import type { SendUpstream, UpstreamResponse } from './request.ts'

export interface FetchedReferrers extends Referrers {
  /** Bytes of the response of upstream. */
  readonly bytes: number
}

/** @throws {RegistryError} UNSUPPORTED (404) if upstream has no such endpoint, UNAVAILABLE, TOOMANYREQUESTS */
export type FetchReferrersUncached = (request: ReferrersRequest) => Promise<FetchedReferrers>

/** Bounds on one list, for all of its pages together. A list is a manifest, and 4 MiB is the maximum of a manifest. */
const maxBytes = 4 * 1024 * 1024
const maxPages = 20
/** Access to each is decided for every request: 2000 decisions take some 20 ms. A popular base image has dozens of referrers. */
const maxManifests = 2000
/** Milliseconds within which a further page is requested. Each page has its own deadline. */
const maxElapsedMs = 10_000
/** Characters: a path of the proxy's request, and a token of upstream. */
const maxLinkLength = 4096

export interface ReferrersOptions {
  readonly send: SendUpstream
  readonly repository: string
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

interface Page {
  readonly manifests: readonly Descriptor[]
  readonly isFiltered: boolean
  readonly bytes: number
  /** For the next page; undefined for the last one. */
  readonly query: string | undefined
}

export const createReferrers = (options: ReferrersOptions): FetchReferrersUncached => {
  const { now = () => performance.now() } = options
  return async (request) => {
    const startedAt = now()
    const manifests: Descriptor[] = []
    let bytes = 0
    let isFiltered = true
    const { artifactType } = request
    let query: string | undefined =
      artifactType === undefined ? '' : `?${new URLSearchParams({ artifactType })}`
    for (let pages = 0; query !== undefined; pages++) {
      if (pages === maxPages || now() - startedAt > maxElapsedMs) throw tooMuch()
      const page: Page = await fetchPage(options, request, query, maxBytes - bytes)
      manifests.push(...page.manifests)
      if (manifests.length > maxManifests) throw tooMuch()
      bytes += page.bytes
      isFiltered &&= page.isFiltered
      query = page.query
    }
    return { manifests, isFiltered, bytes }
  }
}

const tooMuch = () => unavailable('the upstream registry answers with more referrers than the proxy reads')

const fetchPage = async (
  { send, repository }: ReferrersOptions,
  { digest, requester, signal }: ReferrersRequest,
  query: string,
  maxPageBytes: number,
): Promise<Page> => {
  const path = `/v2/${repository}/referrers/${digest}`
  const response = await send({
    method: 'GET',
    path: `${path}${query}`,
    headers: { accept: indexMediaType, 'accept-encoding': 'identity' },
    kind: 'referrers',
    requester,
    signal,
  })
  if (response.status !== 200) return await withoutList(response)
  const { headers, body } = response
  const content = await readBounded(body, maxPageBytes)
  return {
    manifests: parseManifests(content),
    isFiltered: filtersOf(single(headers['oci-filters-applied'])).includes('artifactType'),
    bytes: content.length,
    query: nextQuery(single(headers['link']), path),
  }
}

const withoutList = async ({ status, body }: UpstreamResponse): Promise<Page> => {
  await body.discard()
  // Quay answers 400 for an unknown digest. The specification demands an empty index, and oras treats 400 as fatal.
  if (status === 400) return { manifests: [], isFiltered: false, bytes: 0, query: undefined }
  if (status === 404 || status === 405)
    throw unsupported(
      404,
      'the upstream registry has no referrers API; clients fall back to the tag sha256-<hex>',
    )
  throw unavailable('the upstream registry does not list referrers', new Error(`upstream answered ${status}`))
}

const filtersOf = (header = ''): readonly string[] => header.split(',').map((filter) => filter.trim())

const parseManifests = (content: Buffer): readonly Descriptor[] => {
  try {
    const { manifests } = parseAnswer(content) as { manifests?: unknown }
    // Go may write null for an empty list. Attack: an error with status 200 that would pass for a list without signatures.
    if (manifests === null) return []
    if (Array.isArray(manifests))
      return manifests.map(readDescriptor).filter((descriptor) => descriptor !== undefined)
  } catch (error) {
    throw unavailable('the upstream registry answers with an unreadable list of referrers', error)
  }
  throw unavailable('the upstream registry answers with an unreadable list of referrers')
}

/**
 * The query of the next page; its path is always that of this page. Attack: a Link to another repository or host, which would be requested
 * with the robot's token.
 */
const nextQuery = (header: string | undefined, path: string): string | undefined => {
  if (header === undefined) return undefined
  if (header.length > maxLinkLength) throw astray()
  const [, target] =
    [...header.matchAll(/<([^<>]*)>([^<]*)/g)].find(([, , parameters = '']) => relNext.test(parameters)) ?? []
  if (target === undefined) return undefined
  const url = URL.parse(target, 'http://upstream')
  if (url?.pathname.replaceAll(/%3a/gi, ':') !== path || url.search === '') throw astray()
  return `?${url.searchParams}`
}

// RFC 8288 section 3: parameters in any order, a value quoted or not.
const relNext = /;\s*rel="?next\b/i

const astray = () => unavailable('the upstream registry goes on with its list of referrers elsewhere')
