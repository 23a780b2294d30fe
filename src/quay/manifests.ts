/**
 * Manifests from upstream, verified against their digest. Nothing that does not hash to its name leaves this file.
 */
import { createHash } from 'node:crypto'
import { RegistryError, unavailable } from '../errors.ts'
import { isDigest, type Digest, type QciTag } from '../reference.ts'
import { readBounded } from './bounded-body.ts'
import { single, type Ask, type UpstreamResponse, type Waiter } from './dispatcher.ts'
import { troubled, type UpstreamTrouble } from './failures.ts'

export interface ManifestRequest extends Waiter {
  readonly method: 'GET' | 'HEAD'
  readonly reference: QciTag | Digest
  /** Undefined for everything that there is. */
  readonly accept: string | undefined
}

export interface Manifest {
  readonly digest: Digest
  readonly mediaType: string
  /** Bytes. */
  readonly size: number
  /** Undefined for HEAD. */
  readonly content: Buffer | undefined
  /** Upstream could not say whether the tag has moved since. */
  readonly isStale: boolean
}

/** @throws {RegistryError} MANIFEST_UNKNOWN, UNAVAILABLE, TOOMANYREQUESTS */
export type FetchManifest = (request: ManifestRequest) => Promise<Manifest>

/**
 * Quay converts an image whose stored type is not literally in Accept to schema 1, whose digest is another, or answers 404;
 * `*\/*` does not count. A client that does not say what it reads is given everything.
 */
export const everyMediaType = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

/** The most that clients read (containers/image: 4 MiB). */
const maxManifestBytes = 4 * 1024 * 1024

// The digest of a signed schema 1 manifest is over its JWS payload, not over the bytes: the client checks the signature.
const signedSchema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'

/**
 * Attack: a page of HTML that comes with 200 (maintenance, a proxy in between) has no digest to be held against, would be served for
 * the image and take the place of the copy that is known. Every type of manifest there is is JSON, signed or not.
 */
const isManifestType = (mediaType: string | undefined): mediaType is string =>
  mediaType !== undefined && /^application\/(?:[^\s;]+\+)?(?:json|prettyjws)\s*(?:;|$)/i.test(mediaType)

/** Whether its bytes were held against its digest: then they are the same for ever. */
export const isVerified = ({ mediaType }: Manifest): boolean => mediaType !== signedSchema1

export const createManifests = (ask: Ask, repository: string): FetchManifest => {
  const request = async ({ method, reference, accept, asker, signal }: ManifestRequest) => {
    const response = await ask({
      method,
      path: `/v2/${repository}/manifests/${reference}`,
      headers: { accept: accept ?? everyMediaType, 'accept-encoding': 'identity' },
      kind: 'manifest',
      asker,
      signal,
    })
    if (response.status === 200) return response
    await response.body.discard()
    throw absent(reference, response.status)
  }

  const get: FetchManifest = async (wanted) => {
    const response = await request({ ...wanted, method: 'GET' })
    const content = await readBounded(response.body, maxManifestBytes)
    return verified(wanted.reference, response, content)
  }

  return async (wanted) => {
    if (wanted.method === 'GET') return await get(wanted)
    const response = await request(wanted)
    await response.body.discard()
    return headOf(wanted.reference, response) ?? { ...(await get(wanted)), content: undefined }
  }
}

/** Undefined where upstream's head does not say enough: containerd takes its length as the size of the manifest. */
const headOf = (reference: QciTag | Digest, { headers, digest }: UpstreamResponse): Manifest | undefined => {
  const size = Number(single(headers['content-length']) ?? 0)
  const mediaType = single(headers['content-type'])
  const named = isDigest(reference) ? reference : digest
  if (size === 0 || !isManifestType(mediaType) || named === undefined || !isDigest(named)) return undefined
  return { digest: named, mediaType, size, content: undefined, isStale: false }
}

const verified = (reference: QciTag | Digest, response: UpstreamResponse, content: Buffer): Manifest => {
  const mediaType = single(response.headers['content-type'])
  if (mediaType === undefined) throw wrong('has no Content-Type')
  if (!isManifestType(mediaType)) throw wrong('is no manifest by its Content-Type')
  const named = isDigest(reference) ? reference : response.digest
  const digest = named !== undefined && isDigest(named) ? named : digestOf(content)
  if (mediaType !== signedSchema1 && digestOf(content, digest) !== digest)
    throw wrong('does not match its digest')
  // An answer that ends with its connection may be half of one, and would have a digest of its own.
  if (named === undefined && !isJson(content)) throw wrong('is cut off')
  return { digest, mediaType, size: content.length, content, isStale: false }
}

const isJson = (content: Buffer): boolean => {
  try {
    JSON.parse(content.toString())
    return true
  } catch {
    return false
  }
}

/** The digest of some bytes, by the algorithm of another digest. */
const digestOf = (content: Buffer, like: Digest = 'sha256:' as Digest): Digest => {
  const [algorithm = ''] = like.split(':')
  return `${algorithm}:${createHash(algorithm).update(content).digest('hex')}` as Digest
}

/** A trouble: what broke or was mixed up on the way is right the next time. */
const wrong = (what: string): UpstreamTrouble =>
  troubled(
    unavailable(
      'the upstream registry sent a manifest that is not the one asked for; try again',
      new Error(`manifest ${what}`),
    ),
  )

/**
 * Quay's own TAG_EXPIRED is not a registered code: podman would retry on it three times. Its 400 and 403 would be about the
 * robot's request, which was built from validated parts, not about the client's.
 */
const absent = (reference: string, status: number): RegistryError =>
  status === 404
    ? new RegistryError(
        'MANIFEST_UNKNOWN',
        `${reference} is not in QCI: it was not promoted or not mirrored yet, or it was pruned`,
      )
    : unavailable(
        'the upstream registry does not hand out the manifest; tell the administrators of this proxy if it stays so',
        new Error(`upstream answered ${status}`),
      )
