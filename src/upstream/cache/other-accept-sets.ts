/**
 * Manifests for a tag that no client with this Accept has pulled yet. While upstream fails, the manifest that another client got for the
 * tag may be served, because upstream answers a tag with the stored manifest if its type is in Accept.
 */
import type { Digest, QciTag } from '../../oci/reference.ts'
import type { Manifest } from '../../oci/image-source.ts'
import { acceptKeys } from './accept-key.ts'
import { tagKey, type DigestsByTag } from './digests-by-tag.ts'

/** The digests that other Accept sets got for the tag, the newest first. */
export const digestsOfOtherSets = (tags: Pick<DigestsByTag, 'get'>, reference: QciTag): readonly Digest[] => {
  const found = acceptKeys.flatMap((key) => tags.get(tagKey(reference, key)) ?? [])
  return [
    ...new Set(
      found.toSorted((one, other) => other.confirmedAt - one.confirmedAt).map(({ digest }) => digest),
    ),
  ]
}

/** For every Accept set. */
export const deleteTag = (tags: Pick<DigestsByTag, 'delete'>, reference: string): void => {
  for (const key of acceptKeys) tags.delete(tagKey(reference, key))
}

/** Upstream has answered 404 for a tag. */
export interface AbsentTag {
  readonly reference: QciTag
  /** The media types of the request, with commas. */
  readonly accept: string
  /** When the request was sent, in milliseconds of the clock of the tags. */
  readonly sentAt: number
}

/**
 * Deletes the digests that other sets got for the tag, so that nobody gets them while upstream fails later. A manifest whose type is not in
 * this Accept is kept, because upstream answers 404 for it as well. Attack: a client with a strange Accept would delete the tags of all
 * others.
 */
export const deleteOtherSets = async (
  tags: Pick<DigestsByTag, 'get' | 'delete'>,
  { reference, accept, sentAt }: AbsentTag,
  read: (digest: Digest) => Promise<Pick<Manifest, 'mediaType'> | undefined>,
): Promise<void> => {
  const types = accept.split(', ')
  for (const key of acceptKeys.map((acceptKey) => tagKey(reference, acceptKey))) {
    const before = tags.get(key)
    if (before === undefined || before.confirmedAt > sentAt) continue
    const manifest = await read(before.digest)
    const isExplained = manifest !== undefined && !types.includes(manifest.mediaType)
    // Upstream may have confirmed it since.
    if (!isExplained && tags.get(key)?.confirmedAt === before.confirmedAt) tags.delete(key)
  }
}

/**
 * @param accept the media types of this Accept set, with commas
 * @returns undefined if upstream would not answer this set with the manifest, or the manifest is in no cache
 */
export const answerForSet = async (
  [newest]: readonly Digest[],
  accept: string,
  read: (digest: Digest) => Promise<Manifest | undefined>,
): Promise<Manifest | undefined> => {
  const manifest = newest && (await read(newest))
  return manifest !== undefined && accept.split(', ').includes(manifest.mediaType) ? manifest : undefined
}
