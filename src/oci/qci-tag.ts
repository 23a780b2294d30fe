/**
 * The tags of the monorepo, and who owns each of them. QCI has many writers (ci-operator, ci-images-mirror, ART, the release
 * controller, the pruner). Each of them has its own families of tags:
 *
 *     <namespace>_<name>_<tag>                                  the image stream tag <namespace>/<name>:<tag>
 *     <14 digits>_prune_<tag>, __ci_images_mirror__<tag>,
 *     art__<tag>, <tag>_incoming, <tag>__pre, <tag>__post1      a copy or a stage of <tag>, with the same owner
 *     <8 digits>_sha256_<hex>, sha256-<hex>[.<anything>]        stands for a digest
 *     anything else (latest, rc_payload__.., art__<hex>, ..)    no owner
 *
 * @see https://github.com/openshift/ci-tools/blob/main/pkg/api/promotion.go
 */
import type { Digest } from './digest.ts'
import { dnsLabelPattern } from './dns-label.ts'
import { isNameComponent, isTag } from './name-grammar.ts'

declare const valid: unique symbol
/** A tag of the monorepo, at most 128 characters. */
export type QciTag = string & { readonly [valid]: 'QciTag' }

/** A pair that a SubjectAccessReview can name. `name` is absent if the QCI tag can be split in several ways. */
export interface ImageStream {
  readonly namespace: string
  readonly name?: string
}

/** The prefix of all tags of an image stream in QCI. */
export const tagPrefixOf = ({ namespace, name }: Required<ImageStream>): string => `${namespace}_${name}_`

/** What decides access to a tag: the image stream that it belongs to, the digest that it stands for, or a QCI-wide right alone. */
export type TagOwner =
  | { readonly by: 'image-stream'; readonly imageStream: ImageStream }
  | { readonly by: 'digest'; readonly digest: Digest }
  | { readonly by: 'qci' }

/** Reads the tag in one pass, however deep its families are nested. A text that is not a tag has no owner. */
export type TagOwnerOf = (qciTag: string) => TagOwner

const unowned: TagOwner = { by: 'qci' }

/** The prefixes of a copy. Copies are copied, too. */
const copyPattern = /^(?:\d{14}_prune_|__ci_images_mirror__|art__)+/
/** The suffixes of a tag that is promoted in stages. */
const stages = ['_incoming', '__pre', '__post1']
const datedDigestPattern = /^\d{8}_sha256_([a-f0-9]{64})$/
// Signatures, attestations and the referrers tag schema have a tag that is made of the digest of their image.
const attachedPattern = /^sha256-([a-f0-9]{64})(?:\.[a-zA-Z0-9._-]+)?$/
/**
 * Families without an owner that look like those of an image stream. No image stream has a name that begins with `_`, so a word before `__`
 * is a family, known or not. Attack: a project with the name `preserved` or `remove`.
 */
const familyPattern = /^(?:rc_payload__|art-builder-|[^_]*__)/

/** The rules for tags are the same in QCI as in every registry. */
export const isQciTag = isTag as (text: string) => text is QciTag

export const isNamespace = (text: string): boolean => dnsLabelPattern.test(text)

/** Whether a repository can have this name, without its namespace. */
export const isImageStreamName: (text: string) => boolean = isNameComponent

/** A tag that clients derive from the digest of an image, to look for its signatures and other artifacts. */
export const isAttachedTag = (text: string): boolean => attachedPattern.test(text)

/**
 * Whether tags of other namespaces, or of digests, can begin with `<namespace>_`. A walk that jumps over this namespace in a sorted list
 * would miss them.
 */
export const mayHoldOthers = (namespace: string): boolean => /^(?:\d{8}|\d{14}|art)$/.test(namespace)

/** The digest that a tag stands for; undefined for other tags. */
export const digestOfTag = (qciTag: string): Digest | undefined =>
  digestOfOriginal(withoutStages(qciTag.replace(copyPattern, '')))

/** @param tag a tag without the prefixes and suffixes of copies and stages */
const digestOfOriginal = (tag: string): Digest | undefined => {
  const [, hex] = datedDigestPattern.exec(tag) ?? attachedPattern.exec(tag) ?? []
  return hex === undefined ? undefined : (`sha256:${hex}` as Digest)
}

/**
 * The owner of a tag. Embargoed images come first: a tag that names a restricted namespace in any place where a namespace can be belongs to
 * that namespace, whatever else it is. So copies in future families are restricted, too.
 */
export const createTagOwner =
  (isRestricted: (namespace: string) => boolean): TagOwnerOf =>
  (qciTag) => {
    if (!isQciTag(qciTag)) return unowned
    const owner = ownerByGrammar(qciTag)
    if (owner.by === 'image-stream' && isRestricted(owner.imageStream.namespace)) return owner
    const namespace = restrictedPartOf(qciTag, isRestricted)
    if (namespace !== undefined) return { by: 'image-stream', imageStream: { namespace } }
    // Attack: `SHA256-<hex>.sig` of a restricted image, where upstream's database compares without regard to case.
    const lowerCase = qciTag.toLowerCase()
    const digest = lowerCase === qciTag ? undefined : digestOfTag(lowerCase)
    return digest === undefined ? owner : { by: 'digest', digest }
  }

/**
 * The restricted namespace that one of the `__`-separated parts of a tag names, in lower case: at the beginning of the part, or after the
 * date that it begins with and a word, which may be a date again.
 *
 * Attack: a future dated family around a copy, `<8 digits>_<14 digits>_prune_<tag>`.
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

/** The words of a part that can be a namespace. */
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
  const copied = qciTag.replace(copyPattern, '')
  const tag = withoutStages(copied)
  const digest = digestOfOriginal(tag)
  if (digest !== undefined) return { by: 'digest', digest }
  const cut = tag.indexOf('_')
  const namespace = tag.slice(0, Math.max(cut, 0))
  if (familyPattern.test(copied) || !dnsLabelPattern.test(namespace)) return unowned
  // The stages stay on for the name: a/b:c_incoming can be a tag of that name, too.
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
 * `a/b:c_d` and `a/b_c:d` are one QCI tag. The image stream has a name only if there is exactly one split. Attack: with a guess, a right to
 * one stream (RBAC `resourceNames`) would open an image of another one.
 */
const certainName = (rest: string): { name?: string } => {
  const names: string[] = []
  for (let cut = rest.indexOf('_'); cut !== -1; cut = rest.indexOf('_', cut + 1))
    if (isNameComponent(rest.slice(0, cut)) && isTag(rest.slice(cut + 1))) names.push(rest.slice(0, cut))
  const [name] = names
  return names.length === 1 && name !== undefined ? { name } : {}
}
