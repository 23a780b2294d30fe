/** Digests, locations and random orders that the tests of this room share. */
import { createHash } from 'node:crypto'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseDigest, type Digest, type QciTag } from '../../src/oci/reference.ts'
import type { Location, Reach } from '../../src/digests/sightings.ts'

export const digestOf = (text: string, algorithm: 'sha256' | 'sha512' = 'sha256'): Digest =>
  parseDigest(`${algorithm}:${createHash(algorithm).update(text).digest('hex')}`)

export const isPrivate = (namespace: string): boolean => namespace.endsWith('-priv')

/** Where a tag of a namespace stands. */
export const at = (namespace: string, name = 'app'): Location => ({
  by: 'image-stream',
  imageStream: { namespace, name },
  isRestricted: isPrivate(namespace),
})
export const attachedTo = (digest: Digest): Location => ({ by: 'digest', digest })
export const ofNobody: Location = { by: 'qci' }

const ownerOf = createTagOwner(isPrivate)

export const locate = (tag: QciTag): Location => {
  const owner = ownerOf(tag)
  return owner.by === 'image-stream'
    ? { ...owner, isRestricted: isPrivate(owner.imageStream.namespace) }
    : owner
}

/** What is known, without the order in which it became known. */
export const sorted = (reach: Reach) => ({
  ...reach,
  imageStreams: reach.imageStreams.map(({ namespace, name }) => `${namespace}/${name}`).toSorted(),
  attachedTo: reach.attachedTo.toSorted(),
})

export function* permutations<Value>(values: readonly Value[]): Generator<readonly Value[]> {
  if (values.length === 0) yield []
  for (const [index, value] of values.entries())
    for (const rest of permutations(values.toSpliced(index, 1))) yield [value, ...rest]
}

/** Numbers from 0 up to a bound, the same each time: mulberry32. */
export const createRandom = (seed: number) => {
  let state = seed
  return (bound: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound
  }
}

export const shuffled = <Value>(values: readonly Value[], random: (bound: number) => number): Value[] => {
  const left = [...values]
  return values.map(() => left.splice(random(left.length), 1)[0] as Value)
}
