/** An upstream in memory: tags in one of the two orders, and a manifest for each. */
import { ReachGraph } from '../../../src/digests/reach-graph.ts'
import { Facts } from '../../../src/digests/facts.ts'
import { isDigest, type Digest, type QciTag } from '../../../src/oci/reference.ts'
import { digestOf, locate } from '../fixtures.ts'

export type Order = 'bytes' | 'text'

const collator = new Intl.Collator('en', { ignorePunctuation: true })
const byBytes = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)
/** As a database does: punctuation counts where nothing else differs. */
const byText = (one: string, other: string): number => collator.compare(one, other) || byBytes(one, other)
export const comparators: Readonly<Record<Order, (one: string, other: string) => number>> = {
  bytes: byBytes,
  text: byText,
}

export class FakeUpstream {
  readonly graph: ReachGraph
  readonly facts: Facts
  readonly asked: string[] = []
  pages = 0
  /** Told before a page, a tag or a digest is answered. May throw. */
  before: (what: string | undefined, kind: 'page' | 'manifest') => void = () => undefined
  readonly #perPage: number
  readonly #compare: (one: string, other: string) => number
  #tags: string[]
  /** Manifests by tag or digest, where they are not made of the tag's name. */
  readonly manifests = new Map<
    string,
    { digest: Digest; manifests?: readonly Digest[]; blobs?: readonly Digest[] }
  >()

  constructor(tags: Iterable<string>, order: Order, now: () => number = Date.now, perPage = 100) {
    this.#compare = comparators[order]
    this.#tags = [...tags].toSorted(this.#compare)
    this.#perPage = perPage
    this.graph = new ReachGraph({ now })
    this.facts = new Facts({ graph: this.graph, locate, publish: async () => undefined, now })
  }

  /** What a walk asks of it, and of what it has taught. */
  walked() {
    const { fetchPage, fetchManifest, manifestsOf, graph, facts } = this
    const isRestrictedDigest = (digest: Digest) => graph.reachOf(digest).isRestricted
    return { fetchPage, fetchManifest, manifestsOf, isRestrictedDigest, locate, facts }
  }

  add(...tags: readonly string[]): void {
    this.#tags = [...this.#tags, ...tags].toSorted(this.#compare)
  }

  remove(...tags: readonly string[]): void {
    this.#tags = this.#tags.filter((tag) => !tags.includes(tag))
  }

  readonly fetchPage = async (after: string | undefined) => {
    this.before(after, 'page')
    this.pages += 1
    const start = after === undefined ? 0 : this.#behind(after)
    const tags = this.#tags.slice(start, start + this.#perPage)
    return { tags, more: start + this.#perPage < this.#tags.length }
  }

  readonly fetchManifest = async (reference: QciTag | Digest): Promise<Digest | undefined> => {
    this.before(reference, 'manifest')
    this.asked.push(reference)
    const own = this.manifests.get(reference)
    if (isDigest(reference)) {
      if (own !== undefined)
        await this.facts.record(undefined, own.digest, { manifests: [], blobs: [], ...own })
      return own?.digest
    }
    if (!this.#tags.includes(reference)) return undefined
    const { digest, ...children } = own ?? {
      digest: digestOf(reference),
      blobs: [digestOf(`layer ${reference}`)],
    }
    await this.facts.record(reference, digest, { manifests: [], blobs: [], ...children })
    return digest
  }

  readonly manifestsOf = (digest: Digest) => this.graph.manifestsOf(digest)

  /** How many tags were asked for since the last call. */
  taken(): readonly string[] {
    return this.asked.splice(0)
  }

  #behind(after: string): number {
    let [low, high] = [0, this.#tags.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#compare(this.#tags[middle] as string, after) > 0) high = middle
      else low = middle + 1
    }
    return low
  }
}

export const isRestrictedTag = (tag: string): boolean => {
  const location = locate(tag as QciTag)
  return location.by === 'image-stream' && location.isRestricted
}
