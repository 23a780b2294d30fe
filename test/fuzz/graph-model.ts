/**
 * A model of the access rules in their shortest form: a requester may pull everything that a tag reaches, if the requester may pull that
 * tag. The model knows all content that upstream ever had, and the content that the proxy has served. If the two give different decisions,
 * the proxy may decide either way.
 */
export type Place =
  | { readonly by: 'namespace'; readonly namespace: string }
  | { readonly by: 'digest'; readonly digest: string }
  | { readonly by: 'nobody' }

export interface Person {
  readonly name: string
  readonly token: string
  readonly isQciWide: boolean
  /** Namespaces in which the person has `system:image-puller`. */
  readonly namespaces: readonly string[]
}

export interface Node {
  readonly digest: string
  readonly isManifest: boolean
  readonly subject: string | undefined
  /** Digests that it names as manifests, and all other digests that it names. */
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
  /** Every digest that a tag ever resolved to. */
  readonly #ever: Fact[] = []
  /** Digests that the proxy has served to anybody. */
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

  /** The proxy has served a tag, with or without its bytes. */
  served(place: Place | undefined, digest: string, isRead: boolean): void {
    if (place !== undefined) this.#known.push({ place, digest })
    if (isRead) this.#read.add(digest)
  }

  mayPullOf(person: Person, namespace: string): boolean {
    return person.namespaces.includes(namespace) || (person.isQciWide && !isRestricted(namespace))
  }

  /** A restricted tag ever reached the digest, whether the proxy knows it or not. */
  isOfRestricted(digest: string): boolean {
    return this.#ever.some(
      ({ place, digest: from }) =>
        place.by === 'namespace' && isRestricted(place.namespace) && this.#below(from).has(digest),
    )
  }

  /** The proxy must serve it: it knows a tag that reaches it and that the person may pull. @param within namespace of the request, if any */
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

  /** The proxy must not serve it, whatever it has found out. @param isListed an unseen digest is in no list */
  mustNot(person: Person, digest: string, within: string | undefined, isListed = false): boolean {
    if (!person.isQciWide) return !this.#everReached(person, digest, within)
    if (!this.#opensUnknown || isListed) {
      if (!this.#everReached(person, digest, within)) return true
    }
    return this.#isClosed(digest, isListed)
  }

  /** The proxy knows a restricted tag that reaches it, and no open tag ever reached it. */
  #isClosed(digest: string, isListed: boolean): boolean {
    const isOpenEver = this.#ever.some(
      ({ place, digest: from }) =>
        (place.by === 'digest' || (place.by === 'namespace' && !isRestricted(place.namespace))) &&
        this.#below(from).has(digest),
    )
    if (isOpenEver || !this.#isKnownRestricted(digest)) return false
    if (this.nodes.get(digest)?.isManifest === true || (!this.#opensUnknown && !isListed)) return true
    // A layer that an unseen manifest names too is as open as that manifest.
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

  /** The same, for manifests that the proxy has read. */
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
    // The iteration of a Set includes items that are added meanwhile.
    for (const one of found) {
      const node = this.nodes.get(one)
      if (node === undefined) continue
      for (const next of inner(node)) found.add(next)
      for (const end of leaves(node)) ends.add(end)
    }
    return new Set([...found, ...ends])
  }
}
