/**
 * The inputs of all tests: tags that configurations name, and tags of the parts of the step registry that tests use.
 */
import type { FileInputs, Part } from './ci-operator-inputs.ts'

export interface TestInputs {
  /** `ocp/4.5:cli` */
  readonly tags: ReadonlySet<string>
  /** `ocp/4.5`: all of its tags. */
  readonly streams: ReadonlySet<string>
}

export const noInputs: TestInputs = { tags: new Set(), streams: new Set() }

/** Each part is visited once, so the time is linear. A name that is not in the step registry is ignored. */
export const testInputs = (files: Iterable<FileInputs>): TestInputs => {
  const registry = new Map<string, Part>()
  const streams = new Set<string>()
  const pending: Part[] = []
  for (const file of files) {
    for (const stream of file.streams) streams.add(stream)
    for (const part of file.parts)
      if (part.key === undefined) pending.push(part)
      else registry.set(part.key, part)
  }
  const tags = new Set<string>()
  // Attack: chains that use each other, or a chain of thousands of chains.
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    for (const image of part.images) tags.add(image)
    for (const key of part.uses) {
      const used = registry.get(key)
      registry.delete(key)
      if (used !== undefined) pending.push(used)
    }
  }
  return { tags, streams }
}

export const isSameInputs = (one: TestInputs, other: TestInputs): boolean =>
  isSameSet(one.tags, other.tags) && isSameSet(one.streams, other.streams)

const isSameSet = (one: ReadonlySet<string>, other: ReadonlySet<string>): boolean =>
  one.size === other.size && one.isSubsetOf(other)
