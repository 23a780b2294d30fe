/**
 * The grammar of what a client may ask for, and how it is called in QCI.
 *
 *     <namespace>/<name>:<tag>     ->  <namespace>_<name>_<tag>      image stream form
 *     openshift/ci:<QCI tag>       ->  as is                         monorepo form
 *
 * Everything downstream works on these parsed values.
 */
import { RegistryError } from './errors.ts'

declare const valid: unique symbol
/** `sha256:<64 hex>` or `sha512:<128 hex>`: the registered algorithms, the only ones that can be verified. */
export type Digest = string & { readonly [valid]: 'Digest' }
/** A tag of the monorepo, at most 128 characters. */
export type QciTag = string & { readonly [valid]: 'QciTag' }

/** A pair that a SubjectAccessReview can name; `name` is absent where the split of a QCI tag is not certain. */
export interface ImageStream {
  readonly namespace: string
  readonly name?: string
}

export type Repository =
  | { readonly form: 'monorepo'; readonly path: string }
  | {
      readonly form: 'image-stream'
      readonly path: string
      readonly namespace: string
      readonly name: string
    }

/** What decides access to a tag: the image stream it belongs to, the digest it stands for, or nothing but QCI-wide. */
export type TagOwner =
  | { readonly by: 'image-stream'; readonly imageStream: ImageStream }
  | { readonly by: 'digest'; readonly digest: Digest }
  | { readonly by: 'qci' }

export type Reference =
  | {
      readonly kind: 'tag'
      readonly repository: Repository
      readonly tag: string
      readonly qciTag: QciTag
      readonly owner: TagOwner
    }
  | { readonly kind: 'digest'; readonly repository: Repository; readonly digest: Digest }

// RFC 1123 label: what Kubernetes accepts as a namespace. It has no `_`, which makes the first part of a QCI tag certain.
const namespacePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
// distribution-spec, one component of <name>. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
const componentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const digestPattern = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/
const maxTagLength = 128
// A repository path of 255 characters is the most that clients accept (distribution's NameTotalLengthMax).
const maxNameLength = 255

// ci-tools: the pruner renames a replaced image to <YYYYMMDDHHMMSS>_prune_<its QCI tag>; promotion by digest writes <YYYYMMDD>_sha256_<hex>.
const prunePattern = /^\d{14}_prune_(.+)$/
const datedDigestPattern = /^\d{8}_sha256_([a-f0-9]{64})$/
// Signatures, attestations and the referrers tag schema hang on an image by a tag made of its digest.
const attachedPattern = /^sha256-([a-f0-9]{64})(?:\.[a-zA-Z0-9._-]+)?$/

export const isDigest = (text: string): text is Digest => digestPattern.test(text)

export const isQciTag = (text: string): text is QciTag => tagPattern.test(text)

/** @throws {RegistryError} DIGEST_INVALID */
export const parseDigest = (text: string): Digest => {
  if (isDigest(text)) return text
  throw new RegistryError(
    'DIGEST_INVALID',
    `${quote(text)} is not a digest; expected sha256: and 64, or sha512: and 128 lower-case hexadecimal digits`,
  )
}

/**
 * @param monorepo the path of the monorepo form, `openshift/ci`
 * @throws {RegistryError} NAME_INVALID
 */
export const parseRepository = (namespace: string, name: string, monorepo: string): Repository => {
  const path = `${namespace}/${name}`
  if (path === monorepo) return { form: 'monorepo', path }
  if (!namespacePattern.test(namespace))
    throw new RegistryError(
      'NAME_INVALID',
      `${quote(namespace)} cannot be a namespace of app.ci; ${hint(monorepo)}`,
    )
  if (!componentPattern.test(name) || path.length > maxNameLength)
    throw new RegistryError('NAME_INVALID', `${quote(name)} cannot be an image stream; ${hint(monorepo)}`)
  return { form: 'image-stream', path, namespace, name }
}

/** @throws {RegistryError} TAG_INVALID (404), DIGEST_INVALID, or MANIFEST_UNKNOWN for a tag too long to exist in QCI */
export const parseReference = (repository: Repository, text: string): Reference => {
  if (text.includes(':')) return { kind: 'digest', repository, digest: parseDigest(text) }
  if (!tagPattern.test(text))
    throw new RegistryError(
      'TAG_INVALID',
      `${quote(text)} is not a tag; expected at most 128 letters, digits, "_", "." and "-", not starting with "." or "-"`,
      // Not 400: the conformance suite of the spec asks for such a name, and wants to hear that there is no such manifest.
      { status: 404 },
    )
  const qciTag = repository.form === 'monorepo' ? text : `${repository.namespace}_${repository.name}_${text}`
  if (!isQciTag(qciTag)) throw tooLong(repository, text, qciTag)
  const owner = tagOwner(qciTag)
  if (repository.form === 'image-stream' && !owns(owner, repository.namespace))
    throw misread(repository, text, qciTag)
  return { kind: 'tag', repository, tag: text, qciTag, owner }
}

/** Whose a tag of the monorepo is. A pruned image is judged as the image it was. */
export const tagOwner = (qciTag: string): TagOwner => {
  const pruned = prunePattern.exec(qciTag)?.[1]
  if (pruned !== undefined) return tagOwner(pruned)
  const hex = (datedDigestPattern.exec(qciTag) ?? attachedPattern.exec(qciTag))?.[1]
  if (hex !== undefined) return { by: 'digest', digest: parseDigest(`sha256:${hex}`) }
  const cut = qciTag.indexOf('_')
  const namespace = qciTag.slice(0, Math.max(cut, 0))
  if (!namespacePattern.test(namespace)) return { by: 'qci' }
  return { by: 'image-stream', imageStream: { namespace, ...certainName(qciTag.slice(cut + 1)) } }
}

/**
 * `a/b:c_d` and `a/b_c:d` are one QCI tag. The image stream is named only where one split alone is possible: with a
 * guess, a right to one stream (RBAC `resourceNames`) would open another's image.
 */
const certainName = (rest: string): { name?: string } => {
  const names: string[] = []
  for (let cut = rest.indexOf('_'); cut !== -1; cut = rest.indexOf('_', cut + 1))
    if (componentPattern.test(rest.slice(0, cut)) && tagPattern.test(rest.slice(cut + 1)))
      names.push(rest.slice(0, cut))
  const [name] = names
  return names.length === 1 && name !== undefined ? { name } : {}
}

const owns = (owner: TagOwner, namespace: string): boolean =>
  owner.by === 'image-stream' && owner.imageStream.namespace === namespace

/**
 * 404 rather than 400: the name and the tag are well formed, and clients that look for a signature (`sha256-<hex>.sig`)
 * or retry on unregistered codes must read "there is no such image".
 */
const tooLong = (repository: Repository, tag: string, qciTag: string): RegistryError =>
  new RegistryError(
    'MANIFEST_UNKNOWN',
    `${repository.path}:${tag} cannot be in QCI: its tag there, ${qciTag}, would have ${qciTag.length} characters, ${maxTagLength} is the most`,
  )

/** Attack: a namespace of digits with a stream `prune` (or `sha256`) would borrow the owner that the rest of the tag names. */
const misread = (repository: Repository, tag: string, qciTag: string): RegistryError =>
  new RegistryError(
    'NAME_INVALID',
    `${repository.path}:${tag} cannot be addressed: its tag in QCI, ${qciTag}, reads as another form (a prune, date or digest tag)`,
  )

const hint = (monorepo: string): string =>
  `ask for ${monorepo}:<namespace>_<name>_<tag> or <namespace>/<name>:<tag>`

/** A client's own text in a message: short, and without control characters that could forge a line in a terminal. */
const quote = (text: string): string => {
  const short = text.length > 80 ? `${text.slice(0, 80)}...` : text
  return JSON.stringify(short.replaceAll(/[^\x20-\x7e]/g, '?'))
}
