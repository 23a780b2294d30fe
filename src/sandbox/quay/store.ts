import type { Content, Manifest } from './images.ts'

interface Referrer {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

interface StoredManifest extends Manifest {
  readonly subject: string | undefined
  readonly referrer: Referrer
}

/** The one repository: tags, manifests, blobs, referrers. Deleted tags stay known, as quay's time machine keeps them. */
export class QuayStore {
  readonly #tags = new Map<string, string>()
  readonly #expired = new Set<string>()
  readonly #manifests = new Map<string, StoredManifest>()
  readonly #blobs = new Map<string, Buffer>()
  #sorted: readonly string[] | null = null

  /** Stores without a tag; a manifest with a `subject` becomes its referrer. */
  push(content: Content): void {
    for (const manifest of content.manifests) this.#manifests.set(manifest.digest, read(manifest))
    for (const [digest, body] of content.blobs) this.#blobs.set(digest, body)
  }

  /** Points every name at the content. Names are sorted when they are next listed, not here. */
  tag(names: Iterable<string>, content: Content): void {
    this.push(content)
    for (const name of names) {
      this.#tags.set(name, content.digest)
      this.#expired.delete(name)
    }
    this.#sorted = null
  }

  untag(name: string): void {
    if (!this.#tags.delete(name)) throw new Error(`no tag ${name}`)
    this.#expired.add(name)
    this.#sorted = null
  }

  isExpired(tag: string): boolean {
    return this.#expired.has(tag)
  }

  findByTag(tag: string): Manifest | undefined {
    return this.#manifests.get(this.#tags.get(tag) ?? '')
  }

  findByDigest(digest: string): Manifest | undefined {
    return this.#manifests.get(digest)
  }

  findBlob(digest: string): Buffer | undefined {
    return this.#blobs.get(digest)
  }

  referrersOf(digest: string): readonly Referrer[] {
    return [...this.#manifests.values()]
      .filter(({ subject }) => subject === digest)
      .map(({ referrer }) => referrer)
  }

  /** At most `limit` names after `last` (exclusive), by code unit, and whether there are more. */
  tagsAfter(last: string, limit: number): { readonly names: readonly string[]; readonly more: boolean } {
    this.#sorted ??= [...this.#tags.keys()].toSorted()
    const start = firstAfter(this.#sorted, last)
    return { names: this.#sorted.slice(start, start + limit), more: start + limit < this.#sorted.length }
  }
}

function read(manifest: Manifest): StoredManifest {
  const document = JSON.parse(manifest.body.toString()) as {
    readonly subject?: { readonly digest: string }
    readonly artifactType?: string
    readonly annotations?: Readonly<Record<string, string>>
  }
  const { artifactType, annotations } = document
  const { mediaType, digest, body } = manifest
  const referrer = {
    mediaType,
    digest,
    size: body.length,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
  }
  return { ...manifest, subject: document.subject?.digest, referrer }
}

function firstAfter(sorted: readonly string[], last: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! > last) high = middle
    else low = middle + 1
  }
  return low
}
