/** A registry to copy from and QCI, for tests of copies. */
import type { Test } from 'tap'
import { createBlobCopier } from '../../../src/mirror/copy/blob-copier.ts'
import { Retention } from '../../../src/mirror/copy/retention.ts'
import type { CopyTools } from '../../../src/mirror/copy/copy-image.ts'
import { Repository } from '../../../src/mirror/registry/repository.ts'
import { startPushableRegistry } from '../../support/pushable-registry.ts'
import { clientOf } from '../registry/clients.ts'

/** Of 2026-01-02 03:04:05 UTC. */
export const someTime = Date.UTC(2026, 0, 2, 3, 4, 5)
export const float = 'ocp_ubi_9'
export const pruneTag = `20260102030405_prune___ci_images_mirror__${float}`

export const toolsOf = (): CopyTools => ({
  blobs: createBlobCopier(16),
  retention: new Retention(() => someTime),
})

/** @param options `isNeighbour`: the source is in the registry of QCI, too */
export const startSides = async (test: Test, { isNeighbour = false } = {}) => {
  const qci = await startPushableRegistry(test)
  const origin = isNeighbour ? qci : await startPushableRegistry(test)
  const target = new Repository({
    client: clientOf(test, qci),
    name: 'openshift/ci',
    mayPush: true,
    image: float,
  })
  const source = new Repository({
    client: isNeighbour ? target.options.client : clientOf(test, origin),
    name: 'ubi9/ubi',
    mayPush: false,
    image: float,
  })
  return {
    qci,
    origin,
    source,
    target,
    stored: qci.repository('openshift/ci'),
    original: origin.repository('ubi9/ubi'),
  }
}
