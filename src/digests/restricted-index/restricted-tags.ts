/** Selects the tags that the restricted index follows from pages of the tag list. */
import type { Digest, QciTag } from '../../oci/reference.ts'
import type { Location } from '../sightings.ts'

export interface RestrictedTagsOptions {
  readonly locate: (tag: QciTag) => Location
  readonly isRestrictedDigest: (digest: Digest) => boolean
}

type Pages = AsyncIterable<readonly string[]>

export class RestrictedTags {
  readonly #options: RestrictedTagsOptions

  constructor(options: RestrictedTagsOptions) {
    this.#options = options
  }

  /** Tags of restricted namespaces. Adds the namespaces to `namespaces`. */
  async *ownedOf(pages: Pages, namespaces = new Set<string>()): AsyncGenerator<QciTag> {
    for await (const tags of pages)
      for (const tag of tags) {
        const namespace = this.namespaceOf(tag)
        if (namespace === undefined) continue
        namespaces.add(namespace)
        yield tag as QciTag
      }
  }

  /** Tags that stand for restricted digests. */
  async *attachedOf(pages: Pages): AsyncGenerator<QciTag> {
    const { locate, isRestrictedDigest } = this.#options
    for await (const tags of pages)
      for (const tag of tags as readonly QciTag[]) {
        const location = locate(tag)
        if (location.by === 'digest' && isRestrictedDigest(location.digest)) yield tag
      }
  }

  /** The restricted namespace of a tag, if it belongs to one. */
  namespaceOf(tag: string): string | undefined {
    if (tag === '') return undefined
    const location = this.#options.locate(tag as QciTag)
    if (location.by !== 'image-stream' || !location.isRestricted) return undefined
    return location.imageStream.namespace
  }
}
