/**
 * What the restricted index and the search before a refusal read from upstream.
 */
import type { UpstreamReads } from '../digests/look-further.ts'
import type { TagPage } from '../digests/restricted-index/tag-scan.ts'
import type { Digest, QciTag } from '../oci/reference.ts'

/** Reads of upstream: for a requester, or in the background with a lower priority. */
export interface DigestUpstream extends UpstreamReads {
  readonly fetchManifestInBackground: (
    reference: QciTag | Digest,
    signal: AbortSignal,
  ) => Promise<Digest | undefined>
  readonly fetchPageInBackground: (after: string | undefined, signal: AbortSignal) => Promise<TagPage>
}

const fail = async (): Promise<never> => await Promise.reject(new Error('not connected to upstream yet'))

/** Upstream is created after its first readers, because it passes what it fetches to them. Until then each read fails. */
export const notConnected: DigestUpstream = {
  fetchManifest: fail,
  fetchPage: fail,
  fetchManifestInBackground: fail,
  fetchPageInBackground: fail,
}
