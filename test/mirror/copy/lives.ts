/**
 * The two programs that copy the images of a world: this one, and the sequence of `oc image mirror` as the former program ran it.
 */
import { createBlobCopier } from '../../../src/mirror/copy/blob-copier.ts'
import { readSourceImage } from '../../../src/mirror/copy/source-image.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { Mirror } from '../../../src/mirror/mirror.ts'
import { desiredImages } from '../../../src/mirror/plan/desired.ts'
import { pruneTagOf } from '../../../src/mirror/names/qci-names.ts'
import { Registries } from '../../../src/mirror/registry/registries.ts'
import { Repository } from '../../../src/mirror/registry/repository.ts'
import { fastClock } from '../registry/clients.ts'
import { configOf, supplemental } from '../validation/entries.ts'
import type { Life, StartLife, World, WorldImage } from './faulty-world.ts'

const registriesOf = ({ sides }: World, isHeld: () => boolean): Registries =>
  new Registries({
    permit: { isHeld },
    credentialOf: () => undefined,
    originOf: (host) => (host === 'quay.io' ? sides.qci : sides.origin).origin,
    rate: { perSecond: 1e6, burst: 1000 },
    clock: fastClock,
  })

/** This program. */
export const startMirror: StartLife = (world) => {
  let isHeld = true
  const registries = registriesOf(world, () => isHeld)
  const mirror = new Mirror({
    registries,
    qci: { registry: 'quay.io', repository: 'openshift/ci' },
    clock: fastClock,
    now: () => world.now,
    rules: {
      backoff: { firstMs: 100, longestMs: 500 },
      maxFailures: { refused: 3, all: 6 },
      random: world.random,
    },
  })
  const host = world.sides.origin === world.sides.qci ? 'quay.io' : 'registry.example'
  const desired = desiredImages(
    configOf(
      supplemental(
        Object.fromEntries(world.images.map(({ target, source }) => [target, `${host}/${source}:v1`])),
      ),
    ),
  )
  const pass = async () => {
    const findings = await mirror.pass(desired)
    await mirror.queue.idle()
    const stored = world.sides.qci.repository('openshift/ci')
    const named = new Set([
      ...mirror.queue.list().flatMap(({ target, lastError }) => (lastError === undefined ? [] : [target])),
      ...findings.flatMap(({ image, state }) =>
        state === 'unreadable' || state === 'missing' ? [image.target] : [],
      ),
    ])
    return world.images
      .filter(({ target, float, fresh }) => stored.tags.get(float) !== fresh && !named.has(target))
      .map(({ target }) => target)
  }
  const end = async (): Promise<void> => {
    isHeld = false
    void mirror.queue.stop()
    await registries.close()
  }
  return {
    pass,
    kill: () => void end(),
    // Copies that have begun go on, without the right to write.
    loseLease: () => {
      isHeld = false
      void mirror.queue.stop()
    },
    close: end,
  }
}

interface Pair {
  readonly image: WorldImage
  readonly kind: 'prune' | 'main'
  readonly tag: string
}

/** Tries of one batch: the same pairs again for three minutes. */
const tries = 4

/**
 * The former program: an hourly comparison, a queue in random order, ten pairs at a time, and the same ten again while one of them fails.
 * Sections 2.2, 3.1 to 3.5 of what is known of it.
 */
export const startOc: StartLife = (world): Life => {
  // It has no look at the lease before it writes.
  const registries = registriesOf(world, () => true)
  const blobs = createBlobCopier()
  const life = { isKilled: false }
  const repositoryOf = (host: string, name: string): Repository =>
    new Repository({ client: registries.of(host), name, mayPush: true, image: name })
  const qci = repositoryOf('quay.io', 'openshift/ci')
  const sourceOf = ({ source }: WorldImage): Repository =>
    repositoryOf(world.sides.origin === world.sides.qci ? 'quay.io' : 'registry.example', source)

  const differences = async (): Promise<readonly Pair[]> => {
    const pairs: Pair[] = []
    for (const image of world.images) {
      const current = await qci.resolve(image.float).catch(() => undefined)
      const digest = await sourceOf(image)
        .resolve('v1')
        .catch(() => undefined)
      if (digest === undefined || digest === current) continue
      pairs.push(
        { image, kind: 'prune', tag: pruneTagOf(image.float, world.now) },
        { image, kind: 'main', tag: image.float },
      )
    }
    return pairs
  }

  /** One pair: its source was resolved when the batch was planned. */
  const copy = async ({ image, kind, tag }: Pair, digest: Digest): Promise<void> => {
    const source = kind === 'prune' ? qci : sourceOf(image)
    const manifests = await readSourceImage(source, digest)
    for (const manifest of manifests) {
      for (const blob of manifest.content.blobs) await blobs.copy(source, qci, blob)
      await qci.putManifest(manifest.digest === digest ? tag : manifest.digest, manifest, false)
    }
  }

  const runBatch = async (batch: readonly Pair[]): Promise<boolean> => {
    const planned: (readonly [Pair, Digest])[] = []
    for (const pair of batch) {
      const source = pair.kind === 'prune' ? qci : sourceOf(pair.image)
      const digest = await source
        .resolve(pair.kind === 'prune' ? pair.image.float : 'v1')
        .catch(() => undefined)
      if (digest !== undefined) planned.push([pair, digest])
    }
    let failures = batch.length - planned.length
    for (const [pair, digest] of planned) {
      if (life.isKilled) return false
      await copy(pair, digest).catch(() => (failures += 1))
    }
    return failures === 0
  }

  const pass = async (): Promise<readonly string[]> => {
    const queue = [...(await differences())]
    const dropped: string[] = []
    while (queue.length > 0 && !life.isKilled) {
      const batch = Array.from({ length: Math.min(10, queue.length) }, () =>
        queue.splice(Math.floor(world.random() * queue.length), 1),
      ).flat()
      let isCopied = false
      for (let attempt = 0; attempt < tries && !isCopied && !life.isKilled; attempt++)
        isCopied = await runBatch(batch)
      if (!isCopied && !life.isKilled)
        dropped.push(...batch.filter(({ kind }) => kind === 'main').map(({ image }) => image.target))
    }
    return dropped
  }

  let running: Promise<unknown> = Promise.resolve()
  return {
    pass: async () => {
      const result = pass()
      running = result.catch(() => undefined)
      return await result
    },
    kill: () => {
      life.isKilled = true
      void registries.close()
    },
    loseLease: () => undefined,
    close: async () => {
      await running
      await registries.close()
    },
  }
}
