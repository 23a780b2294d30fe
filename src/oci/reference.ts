/**
 * The grammar of references in requests, and their names in QCI.
 *
 *     <namespace>/<name>:<tag>     ->  <namespace>_<name>_<tag>      image stream form
 *     openshift/ci:<QCI tag>       ->  as is                         monorepo form
 *     <namespace>/<name>:sha256-<hex>..  ->  sha256-<hex>..          signatures etc. of an image, in either form
 *
 * All other code works on these parsed values.
 */
import { RegistryError } from './errors.ts'
import { isDigest, type Digest } from './digest.ts'
import { maxRepositoryLength, maxTagLength } from './name-grammar.ts'
import { quoteName } from './quote-name.ts'
import {
  isAttachedTag,
  isImageStreamName,
  isNamespace,
  isQciTag,
  tagPrefixOf,
  type QciTag,
  type TagOwner,
  type TagOwnerOf,
} from './qci-tag.ts'

export { isDigest, type Digest } from './digest.ts'
export {
  isQciTag,
  tagPrefixOf,
  type ImageStream,
  type QciTag,
  type TagOwner,
  type TagOwnerOf,
} from './qci-tag.ts'

export type Repository =
  | { readonly form: 'monorepo'; readonly path: string }
  | {
      readonly form: 'image-stream'
      readonly path: string
      readonly namespace: string
      readonly name: string
    }

export type Reference =
  | {
      readonly kind: 'tag'
      readonly repository: Repository
      readonly tag: string
      readonly qciTag: QciTag
      readonly owner: TagOwner
    }
  | {
      readonly kind: 'digest'
      readonly repository: Repository
      readonly digest: Digest
      /** It is requested as a blob. Undefined: as a manifest, or as one that referrers name. */
      readonly content?: 'blob'
    }

/** @throws {RegistryError} DIGEST_INVALID */
export const parseDigest = (text: string): Digest => {
  if (isDigest(text)) return text
  throw new RegistryError(
    'DIGEST_INVALID',
    `${quoteName(text)} is not a digest; expected sha256: and 64, or sha512: and 128 lower-case hexadecimal digits`,
    { forLog: { rejected: quoteName(text) } },
  )
}

/**
 * @param monorepo the path of the monorepo form, `openshift/ci`
 * @throws {RegistryError} NAME_INVALID
 */
export const parseRepository = (namespace: string, name: string, monorepo: string): Repository => {
  const path = `${namespace}/${name}`
  if (path === monorepo) return { form: 'monorepo', path }
  if (!isNamespace(namespace))
    throw new RegistryError(
      'NAME_INVALID',
      `${quoteName(namespace)} cannot be a namespace of app.ci; ${hint(monorepo)}`,
      { forLog: { rejected: quoteName(path) } },
    )
  if (!isImageStreamName(name) || path.length > maxRepositoryLength)
    throw new RegistryError(
      'NAME_INVALID',
      `${quoteName(name)} cannot be an image stream; ${hint(monorepo)}`,
      { forLog: { rejected: quoteName(path) } },
    )
  return { form: 'image-stream', path, namespace, name }
}

/**
 * A signature, an SBOM, or the index of the referrers tag schema has a tag that is made of the digest of its image. Clients look for it under
 * the name that they pulled. In the monorepo it exists once, for all names of the image.
 * @throws {RegistryError} TAG_INVALID (404), DIGEST_INVALID, or MANIFEST_UNKNOWN for a tag too long to exist in QCI
 */
export const parseReference = (repository: Repository, text: string, ownerOf: TagOwnerOf): Reference => {
  if (text.includes(':')) return { kind: 'digest', repository, digest: parseDigest(text) }
  // The rules for tags are the same here and in QCI.
  if (!isQciTag(text))
    throw new RegistryError(
      'TAG_INVALID',
      `${quoteName(text)} is not a tag; expected at most 128 letters, digits, "_", "." and "-", not starting with "." or "-"`,
      // Not 400: the conformance suite of the specification requests such a name, and expects 404.
      { status: 404, forLog: { rejected: quoteName(text) } },
    )
  if (repository.form === 'monorepo' || isAttachedTag(text))
    return { kind: 'tag', repository, tag: text, qciTag: text, owner: ownerOf(text) }
  const qciTag = tagPrefixOf(repository) + text
  if (!isQciTag(qciTag)) throw tooLong(repository, text, qciTag)
  const owner = ownerOf(qciTag)
  if (!owns(owner, repository.namespace)) throw misread(repository, text, qciTag)
  return { kind: 'tag', repository, tag: text, qciTag, owner }
}

const owns = (owner: TagOwner, namespace: string): boolean =>
  owner.by === 'image-stream' && owner.imageStream.namespace === namespace

/** 404 and not 400: the name and the tag are well formed, and clients must understand that there is no such image. */
const tooLong = (repository: Repository, tag: string, qciTag: string): RegistryError =>
  new RegistryError(
    'MANIFEST_UNKNOWN',
    `${repository.path}:${tag} cannot be in QCI: its tag there, ${qciTag}, would have ${qciTag.length} characters, ${maxTagLength} is the most`,
  )

/** Attack: a namespace of digits with a stream `prune` (or `sha256`) would get the owner that the rest of the tag names. */
const misread = (repository: Repository, tag: string, qciTag: string): RegistryError =>
  new RegistryError(
    'NAME_INVALID',
    `${repository.path}:${tag} cannot be addressed: its tag in QCI, ${qciTag}, reads as another form (a copy, a digest's tag, or that of another namespace)`,
  )

const hint = (monorepo: string): string =>
  `ask for ${monorepo}:<namespace>_<name>_<tag> or <namespace>/<name>:<tag>`
