/**
 * Manifests by digest from S3, which another replica fetched from upstream. Their bytes are compared with the digest, and their type must
 * be that of a manifest.
 */
import type { Digest } from '../../oci/reference.ts'
import { decodeDocument, type StoredDocument } from '../../storage/documents.ts'
import type { S3Tier } from '../../storage/s3/s3-tier.ts'
import { readBounded } from '../client/bounded-body.ts'
import { isUnencoded } from '../client/response-fields.ts'
import type { RoundTrip } from '../client/round-trip.ts'
import { isManifestType, isVerified, maxManifestBytes } from '../manifests.ts'

export interface S3ManifestsOptions {
  readonly tier: Pick<S3Tier, 'get' | 'found' | 'wrong' | 'offer'>
  /** Sends a GET, without redirects. */
  readonly roundTrip: RoundTrip
}

export interface S3Manifests {
  /** Undefined if S3 does not have it, or cannot give it now. Never rejects. */
  readonly read: (digest: Digest) => Promise<StoredDocument | undefined>
  /** Call this when the disk has a manifest: it is uploaded, unless S3 has it. */
  readonly offer: (digest: Digest, requester: string) => void
}

/** Milliseconds for the whole read. */
const deadlineMs = 5000
/** Maximum length of the media type before the manifest, in bytes. */
const maxTypeBytes = 256

export const createS3Manifests = ({ tier, roundTrip }: S3ManifestsOptions): S3Manifests => {
  const readNow = async (digest: Digest): Promise<StoredDocument | undefined> => {
    const headers = { 'accept-encoding': 'identity' }
    const send = async (url: URL, signal: AbortSignal) =>
      await roundTrip(url, { kind: 'blob', method: 'GET', headers, signal, isErrorBodyUnused: true })
    const reply = await tier.get('manifests', digest, send, AbortSignal.timeout(deadlineMs))
    if (reply === undefined) return undefined
    const bytes = await readBounded(reply.body, maxManifestBytes + maxTypeBytes)
    const document = decodeDocument(digest, bytes)
    const isRight = document !== undefined && isManifestType(document.mediaType) && isVerified(document)
    if (isRight && isUnencoded(reply.headers)) {
      tier.found('manifests', digest, bytes.length)
      return document
    }
    tier.wrong('manifests', digest, 'digest')
    return undefined
  }
  return {
    read: async (digest) => await readNow(digest).catch(() => undefined),
    offer: (digest, requester) => tier.offer('manifests', digest, requester),
  }
}
