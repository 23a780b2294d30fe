/**
 * Finds the manifests that refer to another one: by the referrers API, otherwise by the tag of the referrers tag schema.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
 */
import { indexMediaType, readDescriptor, type Descriptor } from '../../oci/descriptor.ts'
import { isDigest, type Digest } from '../../oci/digest.ts'
import { parseAnswer } from '../../oci/json-bounds.ts'
import { isTag } from '../../oci/name-grammar.ts'
import { single } from '../../upstream/client/response-fields.ts'
import { discard, readBody } from './body.ts'
import { RegistryFailure } from './failure.ts'
import type { Manifest, Repository } from './repository.ts'
import { sha256Of } from './verified.ts'

/** Attack: a registry that names referrers without end. Each is read, and copied. */
export const maxReferrers = 100
const maxPages = 10
const maxPageBytes = 4 * 1024 * 1024

/** @throws {RegistryFailure} */
export const readReferrers = async (
  repository: Repository,
  digest: Digest,
): Promise<readonly Descriptor[]> => {
  const found: Descriptor[] = []
  let path = `referrers/${digest}`
  for (let page = 0; page < maxPages; page++) {
    const reply = await repository.send('GET', path, { headers: { accept: indexMediaType } })
    if (reply.status === 404) {
      await discard(reply.body)
      return await readFallback(repository, digest)
    }
    repository.expect(reply, [200], `the referrers of ${digest}`)
    const bytes = await readBody(reply.body, maxPageBytes).catch((error: unknown) => {
      throw new RegistryFailure(
        'transient',
        `${repository.label} breaks off the referrers of ${digest}`,
        error,
      )
    })
    found.push(...descriptorsIn(bytes, repository, digest))
    const next = nextPage(single(reply.headers['link']), repository, digest)
    if (next === undefined && found.length <= maxReferrers) return found
    path = next ?? path
    if (found.length > maxReferrers) break
  }
  throw tooMany(repository, digest)
}

/** Undefined if the tag would be too long, as it is for digests other than sha256. */
export const fallbackTagOf = (digest: Digest): string | undefined => {
  const tag = digest.replace(':', '-')
  return isTag(tag) ? tag : undefined
}

/** The index under the tag of the referrers tag schema, with referrers added. */
export const withReferrers = (
  current: Manifest | undefined,
  referrers: readonly Descriptor[],
  repository: Repository,
  digest: Digest,
): Manifest => {
  const before = current === undefined ? [] : descriptorsIn(current.bytes, repository, digest)
  const index = { schemaVersion: 2, mediaType: indexMediaType, manifests: [...before, ...referrers] }
  const bytes = Buffer.from(JSON.stringify(index))
  return { bytes, mediaType: indexMediaType, digest: sha256Of(bytes) }
}

const readFallback = async (repository: Repository, digest: Digest): Promise<readonly Descriptor[]> => {
  const tag = fallbackTagOf(digest)
  const index = tag === undefined ? undefined : await repository.manifest(tag)
  if (index === undefined) return []
  const found = descriptorsIn(index.bytes, repository, digest)
  if (found.length > maxReferrers) throw tooMany(repository, digest)
  return found
}

const descriptorsIn = (bytes: Buffer, repository: Repository, digest: Digest): readonly Descriptor[] => {
  const malformed = new RegistryFailure('broken', `${repository.label} has malformed referrers of ${digest}`)
  let index: unknown
  try {
    index = parseAnswer(bytes)
  } catch {
    throw malformed
  }
  const { manifests } = (index ?? {}) as { readonly manifests?: unknown }
  if (!Array.isArray(manifests)) throw malformed
  return manifests.map((value) => {
    const descriptor = readDescriptor(value)
    if (descriptor === undefined) throw malformed
    return descriptor
  })
}

/** Attack: a next page on another host would get the token. So only the query of the Link is used. */
const nextPage = (link: string | undefined, repository: Repository, digest: Digest): string | undefined => {
  const target = /^<([^<>]{1,2000})>\s{0,9};\s{0,9}rel="?next"?/.exec(link ?? '')?.[1]
  if (target === undefined) return undefined
  const url = URL.parse(target, 'http://registry')
  if (url === null)
    throw new RegistryFailure(
      'broken',
      `${repository.label} has a malformed next page of referrers of ${digest}`,
    )
  const query = url.search
  return query === '' ? undefined : `referrers/${digest}${query}`
}

const tooMany = (repository: Repository, digest: Digest): RegistryFailure =>
  new RegistryFailure('refused', `${repository.label} has more than ${maxReferrers} referrers of ${digest}`)

/** The digest that a manifest refers to. */
export const subjectOf = ({ bytes }: Manifest): Digest | undefined => {
  const { subject } = parseAnswer(bytes) as { readonly subject?: { readonly digest?: unknown } | null }
  const digest = subject?.digest
  return typeof digest === 'string' && isDigest(digest) ? digest : undefined
}
