/**
 * Fetches manifests from upstream, and verifies each against its digest. Only verified bytes leave this file,
 * except signed schema 1, whose signature the client checks.
 */
import { createHash } from 'node:crypto'
import { RegistryError, unavailable } from '../oci/errors.ts'
import { hasSchemaVersion, maxDescriptors, maxManifestDepth, parseManifest } from '../oci/manifest.ts'
import { isDigest, type Digest, type QciTag } from '../oci/reference.ts'
import type { FetchManifest, Manifest } from '../oci/image-source.ts'
import { readBounded } from './client/bounded-body.ts'
import { TransientObjectError, UnreadableManifest } from './errors.ts'
import { mediaTypeOf } from './client/response-fields.ts'
import type { SendUpstream, UpstreamResponse } from './request.ts'

/**
 * If the stored type of an image is not literally in Accept, quay converts it to schema 1, with another digest, or answers 404. `*\/*` does
 * not help. So a client without Accept gets every type.
 */
export const everyMediaType = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

/** The maximum that clients read (containers/image: 4 MiB). */
export const maxManifestBytes = 4 * 1024 * 1024

// The digest of a signed schema 1 manifest is over its JWS payload, not over the bytes: the client checks the signature.
const signedSchema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'

/**
 * Attack: a page of HTML that comes with 200 (maintenance, a proxy in between) has no digest to verify. It would be served as the image, and
 * replace the cached manifest. Every type of manifest is JSON, signed or not.
 */
export const isManifestType = (mediaType: string): boolean =>
  /^application\/(?:.+\+)?(?:json|prettyjws)$/.test(mediaType)
/** Other JSON without a digest may be an error, or a notice of maintenance. */
const isNamedManifestType = (mediaType: string): boolean => /\.(?:manifest|index)\./.test(mediaType)

/** Whether its bytes were verified against its digest: then they never change. */
export const isVerified = ({ mediaType }: Pick<Manifest, 'mediaType'>): boolean => mediaType !== signedSchema1

/** Sends GET for HEAD, too: so Content-Length is the length of verified bytes, and of the manifest that the next GET gets. */
export const createManifests =
  (send: SendUpstream, repository: string): FetchManifest =>
  async ({ method, reference, accept, requester, signal, priority }) => {
    const response = await send({
      method: 'GET',
      path: `/v2/${repository}/manifests/${reference}`,
      headers: { accept: accept ?? everyMediaType, 'accept-encoding': 'identity' },
      kind: 'manifest',
      requester,
      signal,
      priority,
    })
    if (response.status !== 200) {
      await response.body.discard()
      throw absent(reference, response.status)
    }
    const content = await readBounded(response.body, maxManifestBytes)
    const manifest = verified(reference, response, content)
    return method === 'HEAD' ? { ...manifest, content: undefined } : manifest
  }

const verified = (reference: QciTag | Digest, response: UpstreamResponse, content: Buffer): Manifest => {
  const mediaType = mediaTypeOf(response.headers)
  if (mediaType === undefined) throw wrong('has no Content-Type')
  const named = isDigest(reference) ? reference : digestIn(response)
  if (!isManifestType(mediaType)) throw wrong('is no manifest by its Content-Type')
  const digest = named ?? digestOf(content)
  if (mediaType !== signedSchema1 && digestOf(content, digest) !== digest)
    throw wrong('does not match its digest')
  // A manifest that cannot be parsed names digests that the access rules would not know. It was pushed like that: a retry gets the same.
  const parsed = parseManifest(content)
  if (parsed === 'too-large') throw new UnreadableManifest(tooLarge(reference), { digest, content })
  // A response without Content-Length may be cut off, and half a manifest would have a digest of its own.
  if (parsed === 'not-json')
    throw digest === named && isVerified({ mediaType })
      ? new UnreadableManifest(notJson(reference), { digest, content })
      : wrong('is cut off')
  if (named === undefined && !isNamedManifestType(mediaType) && !hasSchemaVersion(content))
    throw wrong('is JSON about something else')
  return { digest, mediaType, size: content.length, content, isStale: false }
}

const notJson = (reference: string): string =>
  `${reference} is no JSON, or has a field twice, which clients read differently: push it again`

const tooLarge = (reference: string): string =>
  `${reference} names more than ${maxDescriptors} manifests and blobs, or nests them more than ${maxManifestDepth} levels deep: build it with fewer layers or platforms`

const digestIn = ({ digest }: UpstreamResponse): Digest | undefined =>
  digest !== undefined && isDigest(digest) ? digest : undefined

/** The digest of some bytes, with the algorithm of another digest. */
const digestOf = (content: Buffer, like: Digest = 'sha256:' as Digest): Digest => {
  const [algorithm = ''] = like.split(':')
  return `${algorithm}:${createHash(algorithm).update(content).digest('hex')}` as Digest
}

/** A transient error: a response that broke or was mixed up on the way is right the next time. */
const wrong = (what: string): TransientObjectError =>
  new TransientObjectError(
    'the upstream registry sent a manifest that is not the one asked for; try again',
    new Error(`manifest ${what}`),
  )

/**
 * Quay's own TAG_EXPIRED is not a registered code: podman would retry it three times. Its 400 and 403 concern the robot's request, which was
 * built from validated parts, and not the client's.
 */
const absent = (reference: string, status: number): RegistryError =>
  status === 404
    ? new RegistryError(
        'MANIFEST_UNKNOWN',
        `${reference} is not in QCI: it was not promoted or not mirrored yet, or it was pruned`,
      )
    : unavailable(
        'the upstream registry returned an unexpected status for the manifest; tell the administrators of this proxy if it stays so',
        new Error(`upstream answered ${status}`),
      )
