/** The one repository of the sandbox's quay: tags, manifests, blobs, referrers. */
import { collations } from './collation.ts'
import type { CollationName } from './collation.ts'
import type { Content, Manifest } from './descriptors.ts'
import { SortedTags } from './sorted-tags.ts'

/** Makes the content of a tag at its first use; the same for each call. */
export type MakeContent = (tag: string) => Content

interface Referrer {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

/** Keeps deleted tags, as quay's time machine does. A million tags of one content cost a million names, no more. */
export class QuayStore {
  /** Tag -> digest, or how its content is made. */
  readonly #tags = new Map<string, string | MakeContent>()
  readonly #expired = new Set<string>()
  readonly #manifests = new Map<string, Manifest>()
  readonly #blobs = new Map<string, Buffer>()
  /** Subject -> digest of the referrer -> referrer. */
  readonly #referrers = new Map<string, Map<string, Referrer>>()
  readonly #sorted: SortedTags
  /** Tags whose content is not made yet. */
  readonly #unmade = new Set<string>()

  constructor(collation: CollationName = 'bytes') {
    this.#sorted = new SortedTags(collations[collation])
  }

  /** Stores without a tag; a manifest with a `subject` becomes its referrer. */
  push(content: Content): void {
    for (const manifest of content.manifests) {
      this.#manifests.set(manifest.digest, manifest)
      this.#refer(manifest)
    }
    for (const [digest, body] of content.blobs) this.#blobs.set(digest, body)
  }

  pushBlob(digest: string, body: Buffer): void {
    this.#blobs.set(digest, body)
  }

  /** Makes every name a tag of the content. */
  tag(names: Iterable<string>, content: Content): void {
    this.push(content)
    for (const name of names) {
      this.#set(name, content.digest)
      this.#unmade.delete(name)
    }
  }

  /** Each name has its own content, which is made at the first request for the name, or at a request for an unknown digest. */
  tagLazily(names: Iterable<string>, make: MakeContent): void {
    for (const name of names) {
      this.#set(name, make)
      this.#unmade.add(name)
    }
  }

  untag(name: string): void {
    if (!this.#tags.delete(name)) throw new Error(`no tag ${name}`)
    this.#unmade.delete(name)
    this.#expired.add(name)
    this.#sorted.delete(name)
  }

  isExpired(tag: string): boolean {
    return this.#expired.has(tag)
  }

  findByTag(tag: string): Manifest | undefined {
    const target = this.#tags.get(tag)
    return this.#manifests.get(typeof target === 'function' ? this.#make(tag, target) : (target ?? ''))
  }

  findByDigest(digest: string): Manifest | undefined {
    if (!this.#manifests.has(digest)) this.#makeAll()
    return this.#manifests.get(digest)
  }

  findBlob(digest: string): Buffer | undefined {
    if (!this.#blobs.has(digest)) this.#makeAll()
    return this.#blobs.get(digest)
  }

  referrersOf(digest: string): readonly Referrer[] {
    this.#makeAll()
    return [...(this.#referrers.get(digest)?.values() ?? [])]
  }

  /** At most `limit` names after `last` (exclusive), and whether there are more. */
  tagsAfter(last: string, limit: number): { readonly names: readonly string[]; readonly more: boolean } {
    return this.#sorted.after(last, limit)
  }

  #set(name: string, target: string | MakeContent): void {
    if (!this.#tags.has(name)) this.#sorted.add(name)
    this.#tags.set(name, target)
    this.#expired.delete(name)
  }

  #make(tag: string, make: MakeContent): string {
    const content = make(tag)
    this.push(content)
    this.#tags.set(tag, content.digest)
    this.#unmade.delete(tag)
    return content.digest
  }

  #makeAll(): void {
    for (const tag of this.#unmade) this.#make(tag, this.#tags.get(tag) as MakeContent)
  }

  #refer(manifest: Manifest): void {
    const { mediaType, digest, body } = manifest
    const document = JSON.parse(body.toString()) as {
      readonly subject?: { readonly digest: string }
      readonly artifactType?: string
      readonly annotations?: Readonly<Record<string, string>>
    }
    const { subject, artifactType, annotations } = document
    if (subject === undefined) return
    const referrers = this.#referrers.get(subject.digest) ?? new Map<string, Referrer>()
    this.#referrers.set(subject.digest, referrers)
    referrers.set(digest, {
      mediaType,
      digest,
      size: body.length,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(annotations === undefined ? {} : { annotations }),
    })
  }
}
