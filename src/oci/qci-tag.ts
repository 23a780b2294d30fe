/**
 * The tags of the monorepo and whose they are. QCI has many writers (ci-operator, ci-images-mirror, ART, the release
 * controller, the pruner), and each has families of tags of its own:
 *
 *     <namespace>_<name>_<tag>                                  the image stream tag <namespace>/<name>:<tag>
 *     <14 digits>_prune_<tag>, __ci_images_mirror__<tag>,
 *     art__<tag>, <tag>_incoming, <tag>__pre, <tag>__post1      a copy or a stage of <tag>: whose <tag> is
 *     <8 digits>_sha256_<hex>, sha256-<hex>[.<anything>]        stands for a digest
 *     anything else (latest, rc_payload__.., art__<hex>, ..)    nobody's
 *
 * @see https://github.com/openshift/ci-tools/blob/main/pkg/api/promotion.go
 */
import { isDigest, type Digest } from './digest.ts'
import { dnsLabelPattern } from './dns-label.ts'

declare const valid: unique symbol
/** A tag of the monorepo, at most 128 characters. */
export type QciTag = string & { readonly [valid]: 'QciTag' }

/** A pair that a SubjectAccessReview can name; `name` is absent where the split of a QCI tag is not certain. */
export interface ImageStream {
  readonly namespace: string
  readonly name?: string
}

/** What the tags of an image stream begin with in QCI, each followed by its own tag. */
export const tagPrefixOf = ({ namespace, name }: Required<ImageStream>): string => `${namespace}_${name}_`

/** What decides access to a tag: the image stream it belongs to, the digest it stands for, or nothing but QCI-wide. */
export type TagOwner =
  | { readonly by: 'image-stream'; readonly imageStream: ImageStream }
  | { readonly by: 'digest'; readonly digest: Digest }
  | { readonly by: 'qci' }

/** In one pass over the tag, however deep its families are nested; nobody's for what is no tag. */
export type TagOwnerOf = (qciTag: string) => TagOwner

const nobody: TagOwner = { by: 'qci' }

const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
// distribution-spec, one component of <name>. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
const componentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/

/** What stands before a tag in the name of a copy of it. The copies are copied too. */
const copyPattern = /^(?:\d{14}_prune_|__ci_images_mirror__|art__)+/
/** What stands behind a tag while it is promoted in stages. */
const stages = ['_incoming', '__pre', '__post1']
const datedDigestPattern = /^\d{8}_sha256_([a-f0-9]{64})$/
// Signatures, attestations and the referrers tag schema hang on an image by a tag made of its digest.
const attachedPattern = /^sha256-([a-f0-9]{64})(?:\.[a-zA-Z0-9._-]+)?$/
/**
 * Families of nobody's that could be taken for an image stream's. No image stream has a name that begins with `_`: a word before
 * `__` is a family's, whether we know it or not. Attack: a project that is called `preserved` or `remove`.
 */
const familyPattern = /^(?:rc_payload__|art-builder-|[^_]*__)/

export const isQciTag = (text: string): text is QciTag => tagPattern.test(text)

export const isNamespace = (text: string): boolean => dnsLabelPattern.test(text)

/** Whether a repository can be called so, without its namespace. */
export const isImageStreamName = (text: string): boolean => componentPattern.test(text)

/** A tag that clients make of the digest of an image, to look for what hangs on it beside the name that they pulled. */
export const isAttachedTag = (text: string): boolean => attachedPattern.test(text)

/**
 * Whether tags of other namespaces, or of digests, can stand among those that begin with `<namespace>_`: whoever passes over this
 * namespace in a sorted list would miss them.
 */
export const mayHoldOthers = (namespace: string): boolean => /^(?:\d{8}|\d{14}|art)$/.test(namespace)

/** The digest that a tag stands for; undefined for one that stands for none. */
export const digestOfTag = (qciTag: string): Digest | undefined => {
  const tag = withoutStages(qciTag.replace(copyPattern, ''))
  const digest = `sha256:${(datedDigestPattern.exec(tag) ?? attachedPattern.exec(tag))?.[1]}`
  return isDigest(digest) ? digest : undefined
}

/**
 * Whose a tag is, with embargoed images in mind: a tag that names a restricted namespace where a namespace can stand is that
 * namespace's, whatever else it is. So copies under families of tomorrow are closed before anybody here has heard of them.
 */
export const createTagOwner =
  (isRestricted: (namespace: string) => boolean): TagOwnerOf =>
  (qciTag) => {
    if (!isQciTag(qciTag)) return nobody
    const owner = ownerByGrammar(qciTag)
    if (owner.by === 'image-stream' && isRestricted(owner.imageStream.namespace)) return owner
    const namespace = restrictedPartOf(qciTag, isRestricted)
    if (namespace !== undefined) return { by: 'image-stream', imageStream: { namespace } }
    // Attack: `SHA256-<hex>.sig` of a restricted image, where upstream's database compares without regard to case.
    const digest = digestOfTag(qciTag.toLowerCase())
    return digest === undefined ? owner : { by: 'digest', digest }
  }

/**
 * The restricted namespace that one of the `__`-separated parts of a tag names, in lower case: at the beginning of the part, or
 * behind the date that it begins with and a word, be it a date again.
 *
 * Attack: a dated family of tomorrow around a copy of today, `<8 digits>_<14 digits>_prune_<tag>`.
 */
export const restrictedPartOf = (
  qciTag: string,
  isRestricted: (namespace: string) => boolean,
): string | undefined => {
  for (const part of qciTag.toLowerCase().split(/_{2,}/)) {
    const restricted = namingWords(part).find((word) => dnsLabelPattern.test(word) && isRestricted(word))
    if (restricted !== undefined) return restricted
  }
  return undefined
}

/** The words of a part that may be a namespace. */
const namingWords = (part: string): readonly string[] => {
  const words = part.replace(copyPattern, '').split('_')
  let end = 1
  for (const [index, word] of words.entries()) {
    if (index >= end) break
    if (/^\d{8,}$/.test(word)) end = index + 3
  }
  return words.slice(0, end)
}

const ownerByGrammar: TagOwnerOf = (qciTag) => {
  const digest = digestOfTag(qciTag)
  if (digest !== undefined) return { by: 'digest', digest }
  const copied = qciTag.replace(copyPattern, '')
  const tag = withoutStages(copied)
  const cut = tag.indexOf('_')
  const namespace = tag.slice(0, Math.max(cut, 0))
  if (familyPattern.test(copied) || !dnsLabelPattern.test(namespace)) return nobody
  // The name is sought with the stages on: a/b:c_incoming is a tag of that name as well.
  return { by: 'image-stream', imageStream: { namespace, ...certainName(copied.slice(cut + 1)) } }
}

const withoutStages = (tag: string): string => {
  let end = tag.length
  for (;;) {
    const stage = stages.find((suffix) => tag.endsWith(suffix, end))
    if (stage === undefined) return tag.slice(0, end)
    end -= stage.length
  }
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
