/**
 * The manifests that refer to a digest (signatures, SBOMs), as an OCI image index.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
 */
import { unavailable, unsupported } from '../errors.ts'
import type { Digest } from '../reference.ts'
import { readBounded } from './bounded-body.ts'
import { single, type Ask, type Waiter } from './dispatcher.ts'

export interface Referrers {
  /** The index, as upstream wrote it. */
  readonly content: Buffer
  /** `OCI-Filters-Applied`: undefined where upstream did not filter. */
  readonly filtersApplied: string | undefined
}

export interface ReferrersRequest extends Waiter {
  readonly digest: Digest
  readonly artifactType: string | undefined
}

/** @throws {RegistryError} UNSUPPORTED (404) where upstream has no such endpoint, UNAVAILABLE, TOOMANYREQUESTS */
export type FetchReferrers = (request: ReferrersRequest) => Promise<Referrers>

export const indexMediaType = 'application/vnd.oci.image.index.v1+json'
const maxReferrersBytes = 4 * 1024 * 1024
const noReferrers = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: indexMediaType, manifests: [] }),
)

export const createReferrers =
  (ask: Ask, repository: string): FetchReferrers =>
  async ({ digest, artifactType, asker, signal }) => {
    const query = artifactType === undefined ? '' : `?${new URLSearchParams({ artifactType })}`
    const response = await ask({
      method: 'GET',
      path: `/v2/${repository}/referrers/${digest}${query}`,
      headers: { accept: indexMediaType, 'accept-encoding': 'identity' },
      kind: 'referrers',
      asker,
      signal,
    })
    if (response.status === 200) {
      const content = await readBounded(response.body, maxReferrersBytes)
      return { content, filtersApplied: single(response.headers['oci-filters-applied']) }
    }
    await response.body.discard()
    // Quay answers 400 for a digest it does not know; the spec wants an empty index, and oras takes 400 for fatal.
    if (response.status === 400) return { content: noReferrers, filtersApplied: undefined }
    if (response.status === 404 || response.status === 405)
      throw unsupported(
        404,
        'the upstream registry has no referrers API; clients fall back to the tag sha256-<hex>',
      )
    throw unavailable(
      'the upstream registry does not list referrers',
      new Error(`upstream answered ${response.status}`),
    )
  }
