/**
 * Makes the copy for a finding.
 */
import { formatReference } from '../names/image-reference.ts'
import type { QueuedCopy } from '../queue/queued-copy.ts'
import type { Finding } from './findings.ts'
import { ownerOf } from './owner.ts'

/** @param destination as people write it. @returns undefined if there is nothing to copy */
export const dueCopy = ({ image, ...finding }: Finding, destination: string): QueuedCopy | undefined => {
  const { state } = finding
  const isDue = state === 'different' || (state === 'same' && finding.hasNewAttachments === true)
  if (!isDue) return undefined
  const { digest, isStale = false } = finding
  const replaced = state === 'different' ? finding.replaced : digest
  return {
    target: image.target,
    source: formatReference(image.source),
    destination,
    createdAt: Date.now(),
    sourceHost: image.source.registry,
    digest,
    owner: ownerOf(image),
    ...(image.distributed && {
      distributed: { imageStreamTag: image.distributed.imageStreamTag, replaced, isStale },
    }),
  }
}
