/**
 * An image as people paste it -> the reference, and how the proxy reads it. Images of other registries and paths of the registry API are
 * refused, because an explanation of them would be wrong.
 */
import { likelyPullSpec } from '../oci/likely-pull-spec.ts'
import { isRegistryHost, parsePullSpec, pullSpecOf, type PullSpecOptions } from '../oci/pull-spec.ts'
import { RegistryError } from '../oci/errors.ts'
import { quoteName } from '../oci/quote-name.ts'
import type { Reference } from '../oci/reference.ts'
import type { Reading } from './explanation.ts'
import { pastedImage } from './pasted-image.ts'

export interface ReadImage {
  readonly reference: Reference
  readonly pullSpec: string
}

/** Characters. A pull spec with a host, a repository of 255, a tag of 128 and a digest has fewer. */
const maxLength = 700

/** @throws {RegistryError} with what to write instead */
export const readImage = (pasted: string, options: PullSpecOptions): ReadImage => {
  if (pasted.length > maxLength) throw unreadable('the image is longer than any pull spec', pasted)
  const text = pastedImage(pasted)
  const example = `write ${options.exposedHost}/ocp/4.5:base`
  if (text === '') throw unreadable(`no image is given; ${example}, or ocp/4.5:base`, '')
  if (isApiPath(text))
    throw unreadable(`${quoteName(text)} is a path of the registry API, not an image; ${example}`, text)
  const foreign = foreignCharacterIn(text)
  if (foreign !== undefined)
    throw unreadable(`${quoteName(text)} has ${foreign}, which no image has; ${example}`, text)
  try {
    const reference = parsePullSpec(text, options)
    const pullSpec = pullSpecOf(reference, options.exposedHost)
    return { reference, pullSpec }
  } catch (error) {
    const likely = likelySpelling(text, options) ?? likelySpelling(inLowerCase(text), options)
    if (likely !== undefined)
      throw unreadable(`${quoteName(text)} is no image of QCI; did you mean ${likely}?`, text)
    throw error instanceof RegistryError ? error : unreadable((error as Error).message, text)
  }
}

/** @param isRestricted of a namespace */
export const readingOf = (reference: Reference, isRestricted: (namespace: string) => boolean): Reading => {
  if (reference.kind === 'digest') return { digest: reference.digest, ...writtenNamespace(reference) }
  const { qciTag, owner } = reference
  if (owner.by === 'digest') return { qciTag, digest: owner.digest, ...writtenNamespace(reference) }
  if (owner.by === 'qci') return { qciTag, restricted: false }
  const { namespace, name } = owner.imageStream
  return {
    qciTag,
    namespace,
    ...(name === undefined ? {} : { imageStream: `${namespace}/${name}` }),
    restricted: isRestricted(namespace),
  }
}

const writtenNamespace = ({ repository }: Reference) =>
  repository.form === 'image-stream' ? { namespace: repository.namespace } : {}

/** A letter of another alphabet looks like ours, and a direction mark like nothing: its number tells it. */
const foreignCharacterIn = (text: string): string | undefined => {
  if (text.includes('$')) return 'a $ in it, as a variable that no shell has replaced'
  const [character] = /[^\x21-\x7e]/u.exec(text) ?? []
  if (character === undefined) return undefined
  if (/\s/.test(character)) return 'white space in it'
  const codePoint = `${character.codePointAt(0)?.toString(16)}`
  return `the character U+${codePoint.toUpperCase().padStart(4, '0')} in it`
}

/** Clients send no others. A tag may have capital letters. */
const inLowerCase = (text: string): string => {
  const colon = text.lastIndexOf(':')
  return colon > text.lastIndexOf('/')
    ? text.slice(0, colon).toLowerCase() + text.slice(colon)
    : text.toLowerCase()
}

/** `HOST/v2/ocp/4.5/manifests/base`, with the host or without. */
const isApiPath = (text: string): boolean => {
  const components = text.split('/')
  const [first = ''] = components
  const path = isRegistryHost(first) || first === '' ? components.slice(1) : components
  return path[0] === 'v2' && path.length !== 2
}

/** Undefined if no other spelling is an image of QCI. */
const likelySpelling = (text: string, options: PullSpecOptions): string | undefined => {
  if (text.includes('@')) return undefined
  const colon = text.lastIndexOf(':')
  const hasTag = colon > text.lastIndexOf('/')
  const [path, tag] = hasTag ? [text.slice(0, colon), text.slice(colon + 1)] : [text, 'latest']
  const components = path.split('/')
  const isOwn = components[0]?.toLowerCase() === options.exposedHost.toLowerCase()
  return likelyPullSpec(isOwn ? components.slice(1) : components, tag, options)
}

const unreadable = (message: string, text: string): RegistryError =>
  new RegistryError('NAME_INVALID', message, { forLog: { rejected: quoteName(text) } })
