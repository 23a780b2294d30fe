/** Copies for tests of the queue. */
import type { Digest } from '../../../src/oci/digest.ts'
import type { QueuedCopy } from '../../../src/mirror/queue/queued-copy.ts'

export const copyOf = (target: string, sourceHost = 'quay.io', digit = '0'): QueuedCopy => ({
  target,
  source: `${sourceHost}/a/b:c`,
  destination: `quay.io/openshift/ci:${target.replaceAll(/[:/]/g, '_')}`,
  createdAt: Date.UTC(2026, 0, 2, 3, 4, 5),
  sourceHost,
  digest: `sha256:${digit.repeat(64)}` as Digest,
  owner: 'supplementalCIImagesService',
})
