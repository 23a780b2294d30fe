/** Copies for tests of the queue. */
import type { Digest } from '../../../src/oci/digest.ts'
import type { QueuedCopy } from '../../../src/mirror/queue/queued-copy.ts'

export const copyOf = (target: string, sourceHost = 'quay.io', digit = '0'): QueuedCopy => ({
  target,
  source: `${sourceHost}/a/b:c`,
  sourceHost,
  digest: `sha256:${digit.repeat(64)}` as Digest,
})
