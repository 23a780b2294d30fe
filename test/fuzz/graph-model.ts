/**
 * Who may pull what, in as few words as it can be said: what a tag reaches that one may pull. It knows all that ever was upstream, and the
 * part of it that the proxy has served; between what these two say, the proxy is free.
 */
export type Place =
  | { readonly by: 'namespace'; readonly namespace: string }
  | { readonly by: 'digest'; readonly digest: string }
  | { readonly by: 'nobody' }

export interface Person {
  readonly name: string
  readonly token: string
  readonly isQciWide: boolean
  /** Where they have `system:image-puller`. */
  readonly namespaces: readonly string[]
}

export interface Node {
  readonly digest: string
  readonly isManifest: boolean
  readonly subject: string | undefined
  /** What it names as a manifest, and what it names as anything else. */
  readonly manifests: readonly string[]
  readonly blobs: readonly string[]
}

interface Fact {
  readonly place: Place
  readonly digest: string
}

export const isRestricted = (namespace: string): boolean => namespace.endsWith('-priv')

export class GraphModel {
  readonly nodes = new Map<string, Node>()
  /** Every digest that a tag ever gave. */
  readonly #ever: Fact[] = []
  /** Those that the proxy gave to somebody. */
  readonly #known: Fact[] = []
  readonly #read = new Set<string>()
  readonly #opensUnknown: boolean

  /** @param opensUnknown `--unknown-digests=allow` */
  constructor(opensUnknown: boolean) {
    this.#opensUnknown = opensUnknown
  }

  tagged(place: Place, digest: string): void {
    this.#ever.push({ place, digest })
  }

  /** A tag was served, and with its bytes or not. */
  served(place: Place | undefined, digest: string, isRead: boolean): void {
    if (place !== undefined) this.#known.push({ place, digest })
    if (isRead) this.#read.add(digest)
  }

  mayPullOf(person: Person, namespace: string): boolean {
    return person.namespaces.includes(namespace) || (person.isQciWide && !isRestricted(namespace))
  }

  /** A restricted tag ever reached it, whether that is known or not. */
  isOfRestricted(digest: string): boolean {
    return this.#ever.some(
      ({ place, digest: from }) =>
        place.by === 'namespace' && isRestricted(place.namespace) && this.#below(from).has(digest),
    )
  }

  /** It has to be served: a tag that they may pull is known to reach it. @param within the namespace that was asked in, if one was */
  must(person: Person, digest: string, within: string | undefined): boolean {
    return this.#known.some(({ place, digest: from }) => {
      if (place.by !== 'namespace' || !this.mayPullOf(person, place.namespace)) return false
      const counts =
        within === undefined ||
        within === place.namespace ||
        (person.isQciWide && !isRestricted(place.namespace))
      return counts && this.#knownBelow(from).has(digest)
    })
  }

  /** It must not be served, whatever the proxy has found out. @param isListed what nobody has seen is in no list */
  mustNot(person: Person, digest: string, within: string | undefined, isListed = false): boolean {
    if (!person.isQciWide) return !this.#everReached(person, digest, within)
    if (!this.#opensUnknown || isListed) {
      if (!this.#everReached(person, digest, within)) return true
    }
    return this.#isClosed(digest, isListed)
  }

  /** A restricted tag is known to reach it, and nothing that is open ever did. */
  #isClosed(digest: string, isListed: boolean): boolean {
    const isOpenEver = this.#ever.some(
      ({ place, digest: from }) =>
        (place.by === 'digest' || (place.by === 'namespace' && !isRestricted(place.namespace))) &&
        this.#below(from).has(digest),
    )
    if (isOpenEver || !this.#isKnownRestricted(digest)) return false
    if (this.nodes.get(digest)?.isManifest === true || (!this.#opensUnknown && !isListed)) return true
    // A layer that something unseen names too is as open as that.
    return [...this.nodes.values()]
      .filter(({ manifests, blobs }) => [...manifests, ...blobs].includes(digest))
      .every((parent) => this.#isKnownRestricted(parent.digest))
  }

  #isKnownRestricted(digest: string): boolean {
    return this.#known.some(
      ({ place, digest: from }) =>
        place.by === 'namespace' && isRestricted(place.namespace) && this.#knownBelow(from).has(digest),
    )
  }

  #everReached(
    person: Person,
    digest: string,
    within: string | undefined,
    seen: readonly string[] = [],
  ): boolean {
    return this.#ever.some(({ place, digest: from }) => {
      if (!this.#below(from).has(digest)) return false
      if (place.by === 'nobody') return person.isQciWide
      if (place.by === 'digest')
        return (
          !seen.includes(place.digest) &&
          (person.isQciWide || this.#everReached(person, place.digest, within, [...seen, place.digest]))
        )
      const counts = within === undefined || within === place.namespace || person.isQciWide
      return counts && this.mayPullOf(person, place.namespace)
    })
  }

  /** A digest and all below it. */
  #below(digest: string): ReadonlySet<string> {
    return this.#closure(
      digest,
      ({ manifests, blobs }) => [...manifests, ...blobs],
      () => [],
    )
  }

  /** The same, as far as the proxy has read. */
  #knownBelow(digest: string): ReadonlySet<string> {
    const isRead = (node: Node) => this.#read.has(node.digest)
    return this.#closure(
      digest,
      (node) => (isRead(node) ? node.manifests : []),
      (node) => (isRead(node) ? node.blobs : []),
    )
  }

  #closure(
    digest: string,
    inner: (node: Node) => readonly string[],
    leaves: (node: Node) => readonly string[],
  ): ReadonlySet<string> {
    const found = new Set([digest])
    const ends = new Set<string>()
    // A Set that grows is iterated to its new end.
    for (const one of found) {
      const node = this.nodes.get(one)
      if (node === undefined) continue
      for (const next of inner(node)) found.add(next)
      for (const end of leaves(node)) ends.add(end)
    }
    return new Set([...found, ...ends])
  }
}
