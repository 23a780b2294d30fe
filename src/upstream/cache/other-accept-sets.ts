/**
 * A tag that no client with this Accept has pulled: while upstream fails, the manifest that another client got for the tag may be served,
 * because upstream answers a tag with the stored manifest if its type is in Accept.
 */
import type { Digest, QciTag } from '../../oci/reference.ts'
import type { Manifest } from '../../oci/image-source.ts'
import { acceptKeys } from './accept-key.ts'
import type { DigestsByTag } from './digests-by-tag.ts'

export const tagKey = (reference: string, acceptKey: string): string => `${reference} ${acceptKey}`

/** What the tag gave to other Accept sets, the newest first. */
export const digestsOfOtherSets = (tags: Pick<DigestsByTag, 'get'>, reference: QciTag): readonly Digest[] => {
  const found = acceptKeys.flatMap((key) => tags.get(tagKey(reference, key)) ?? [])
  return [
    ...new Set(
      found.toSorted((one, other) => other.confirmedAt - one.confirmedAt).map(({ digest }) => digest),
    ),
  ]
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
