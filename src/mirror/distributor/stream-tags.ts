/**
 * The current image of each mirrored tag of all ImageStreams of app.ci. Other parts of ImageStreams are not kept in memory.
 */
import type { ImageStreamObserver } from '../../kubernetes/image-streams.ts'
import type { ImageStream } from '../../oci/reference.ts'
import type { StreamTag } from '../app-ci/current-images.ts'

/** The images of one ImageStream, by tag. */
export type StreamTags = ReadonlyMap<string, StreamTag>

export interface StreamTagIndexOptions {
  /** @param tags tags such as `ocp/4.5:base` that now have another image, or none */
  readonly onChange: (tags: readonly string[]) => void
  readonly onListed: () => void
}

export class StreamTagIndex implements ImageStreamObserver<StreamTags> {
  readonly #options: StreamTagIndexOptions
  /** ImageStreams by `namespace/name`; those without a tag are left out. */
  readonly #streams = new Map<string, StreamTags>()

  constructor(options: StreamTagIndexOptions) {
    this.#options = options
  }

  /** In the order of their names, independent of the order of events. */
  entries(): readonly (readonly [stream: string, tags: StreamTags])[] {
    return [...this.#streams].toSorted(([one], [other]) => (one < other ? -1 : 1))
  }

  tagCount(): number {
    return this.#streams.values().reduce((count, tags) => count + tags.size, 0)
  }

  readonly put = (imageStream: Required<ImageStream>, tags: StreamTags): void => {
    const key = keyOf(imageStream)
    const before = this.#streams.get(key)
    if (tags.size > 0) this.#streams.set(key, tags)
    else this.#streams.delete(key)
    this.#changed(key, before, tags)
  }

  readonly remove = (imageStream: Required<ImageStream>): void => this.put(imageStream, new Map())

  readonly listed = (imageStreams: readonly Required<ImageStream>[]): void => {
    const existing = new Set(imageStreams.map(keyOf))
    for (const [key, tags] of this.#streams)
      if (!existing.has(key)) {
        this.#streams.delete(key)
        this.#changed(key, tags, new Map())
      }
    this.#options.onListed()
  }

  #changed(key: string, before: StreamTags = new Map(), after: StreamTags): void {
    const tags = new Set([...before.keys(), ...after.keys()])
    const changed = [...tags].filter((tag) => !isSame(before.get(tag), after.get(tag)))
    if (changed.length > 0) this.#options.onChange(changed.map((tag) => `${key}:${tag}`))
  }
}

/** The time counts, too: it decides whether the image in QCI is newer. */
const isSame = (one: StreamTag | undefined, other: StreamTag | undefined): boolean =>
  one?.image === other?.image && one?.setAt === other?.setAt

const keyOf = ({ namespace, name }: Required<ImageStream>): string => `${namespace}/${name}`
