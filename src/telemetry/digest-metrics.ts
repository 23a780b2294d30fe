/**
 * The Prometheus metrics of facts and claims about digests, on the Registry of the other metrics.
 */
import { closedCounterOn, gaugeOn } from './instruments.ts'
import type { Metrics } from './metrics.ts'

/** To be created only if ImageStreams are watched. @param read is called at every scrape */
export const createWatchMetrics = (
  { registry }: Pick<Metrics, 'registry'>,
  read: () => Readonly<Record<'digests' | 'imageStreams' | 'notIndexed' | 'silentSeconds', number>>,
) => {
  const gauge = gaugeOn(registry)
  gauge('watched_digests', 'Digests that ImageStreams of app.ci claim.', () => read().digests)
  gauge('watched_image_streams', 'ImageStreams of app.ci that claim a digest.', () => read().imageStreams)
  gauge(
    'digests_not_indexed',
    'Digests of ImageStreams that do not fit into the index; their images may have to be pulled by tag first. Alert above 0.',
    () => read().notIndexed,
  )
  gauge(
    'image_streams_silence_seconds',
    'Time since the last event about ImageStreams from app.ci. Alert above a few minutes.',
    () => read().silentSeconds,
  )
  return {
    restarts: closedCounterOn(registry)(
      'image_streams_restarts_total',
      'Lists and watches of ImageStreams that failed, by reason; expired: the watch could not resume, so a new list was read.',
      { reason: ['list', 'watch', 'expired'] },
    ),
  }
}

/** The size of the graph of facts, and the progress of the restricted index. @param read is called at every scrape */
export const createDigestMetrics = (
  { registry }: Pick<Metrics, 'registry'>,
  read: () => {
    readonly digests: number
    readonly restrictedDigests: number
    readonly hasFollowedLive?: boolean
    readonly hasFollowedAll?: boolean
    readonly followed?: number
  },
): void => {
  const gauge = gaugeOn(registry)
  gauge('known_digests', 'Digests that tags of namespaces without restriction reach.', () => read().digests)
  gauge(
    'restricted_digests',
    'Digests that tags of restricted namespaces reach, or have reached.',
    () => read().restrictedDigests,
  )
  gauge(
    'restricted_index_complete',
    '1 if all live tags of restricted namespaces were followed within the last hour; otherwise digests without a known tag are closed. Alert on 0.',
    () => Number(read().hasFollowedLive ?? true),
  )
  gauge('restricted_index_whole', '1 after dated copies of restricted images were followed as well.', () =>
    Number(read().hasFollowedAll ?? true),
  )
  gauge(
    'restricted_tags_followed',
    'Tags that this replica has followed for the restricted index.',
    () => read().followed ?? 0,
  )
}
