/**
 * What a client says it reads, as upstream is asked for it: quay answers a tag by what stands in Accept.
 */
import { LRUCache } from 'lru-cache'
import { everyMediaType } from '../manifests.ts'

/** What else manifests were, or are, stored as. */
const olderMediaTypes = [
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.oci.artifact.manifest.v1+json',
]

/**
 * Attack: each Accept that nobody has sent before would have a place of its own in memory, and push out what others need while
 * upstream has trouble. Of the types that there are, there are 128 sets.
 */
const storedTypes = [...everyMediaType.split(', '), ...olderMediaTypes].toSorted()
/** To upstream any type that is not stored is like any other. */
const noneOfThem = 'application/json'

export interface AcceptSet {
  /** A few characters; equal for equal sets. */
  readonly key: string
  /** The Accept that stands for all that have this key: what upstream answers is an answer to each of them. */
  readonly accept: string
}

/** How many spellings of Accept are known without reading them: every client has one or two. */
const maxKnown = 256
/** Characters. What clients send has 300 (containers/image: six types); all that is known stays below half a megabyte. */
const maxKnownLength = 1024
/** Attack: 64 kB of types take 13 ms to read, 4 kB less than one. A type that is cut is one that nobody knows. */
const maxReadLength = 4096

/**
 * The media types of an Accept, without order, case, repetition and parameters: a client that has another spelling of the same
 * set gets the same answer. Asked of upstream in this one form, so that no spelling (`;q=0`, say) makes the answer to all others.
 */
export const createAcceptSets = (): ((accept: string | undefined) => AcceptSet) => {
  const known = new LRUCache<string, AcceptSet>({ max: maxKnown })
  const all = setOf(everyMediaType.split(', '))
  return (accept) => {
    if (accept === undefined) return all
    const seen = known.get(accept)
    if (seen !== undefined) return seen
    const types = typesOf(accept.slice(0, maxReadLength))
    const set = saysNothing(types) ? all : setOf(types)
    if (accept.length <= maxKnownLength) known.set(accept, set)
    return set
  }
}

const saysNothing = ([first, ...others]: readonly string[]): boolean =>
  first === undefined || (first === '*/*' && others.length === 0)

const typesOf = (accept: string): readonly string[] => {
  const types = accept.split(',').map((range) => range.split(';', 1).join('').trim().toLowerCase())
  return [...new Set(types.filter((type) => type !== ''))]
}

const setOf = (types: readonly string[]): AcceptSet => {
  const stored = storedTypes.filter((type) => types.includes(type))
  const key = stored.map((type) => storedTypes.indexOf(type)).join('')
  return { key, accept: stored.length === 0 ? noneOfThem : stored.join(', ') }
}
