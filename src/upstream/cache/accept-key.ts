/**
 * Normalises the Accept of a client for upstream: quay answers a tag by what is in Accept.
 */
import { createBoundedCache } from '../../concurrency/bounded-cache.ts'
import { everyMediaType } from '../manifests.ts'

/** Other types that manifests were, or are, stored as. */
const olderMediaTypes = [
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
  'application/vnd.docker.distribution.manifest.v1+json',
  'application/vnd.oci.artifact.manifest.v1+json',
]

/**
 * Attack: each new Accept would get a cache entry of its own, and evict entries that others need while upstream fails. Of the stored types
 * there are only 128 sets.
 */
const storedTypes = [...everyMediaType.split(', '), ...olderMediaTypes].toSorted()
/** For upstream, all types that are not stored are alike. */
const noneOfThem = 'application/json'

/** The keys of all sets. */
export const acceptKeys: readonly string[] = Array.from({ length: 2 ** storedTypes.length }, (_, bits) =>
  storedTypes.flatMap((_type, index) => ((bits >> index) & 1 ? [index] : [])).join(''),
)

export interface AcceptSet {
  /** A few characters. Equal sets have equal keys. */
  readonly key: string
  /** The Accept to send: the response is valid for every Accept with this key. */
  readonly accept: string
}

/** Spellings of Accept whose set is cached: every client has one or two. */
const maxCached = 256
/** Characters. The Accept of clients has 300 (containers/image: six types). The cache stays below half a megabyte. */
const maxCachedLength = 1024
/** Attack: 64 kB of types take 13 ms to parse, 4 kB less than one. A type that is cut off is unknown. */
const maxReadLength = 4096

/**
 * The media types of an Accept, without order, case, repetition and parameters: clients with different spellings of one set share the
 * response. Upstream gets this one form. Attack: a spelling such as `;q=0` that changes the response for everybody else.
 */
export const createAcceptSets = (): ((accept: string | undefined) => AcceptSet) => {
  const cached = createBoundedCache<string, AcceptSet>(maxCached)
  const all = setOf(everyMediaType.split(', '))
  return (accept) => {
    if (accept === undefined) return all
    const seen = cached.get(accept)
    if (seen !== undefined) return seen
    const types = typesOf(accept.slice(0, maxReadLength))
    const set = saysNothing(types) ? all : setOf(types)
    if (accept.length <= maxCachedLength) cached.set(accept, set)
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
