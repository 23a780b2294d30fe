/**
 * Copies with faults at every step. Whatever happens, no old image is without a tag, and the float never has another digest than the old
 * one or the new one. `.ci/run` makes 120 copies. MIRROR_COPIES=10000 makes a long run of it.
 */
import t from 'tap'
import type { Test } from 'tap'
import { createBlobCopier } from '../../../src/mirror/copy/blob-copier.ts'
import { copyImage, type CopyTools } from '../../../src/mirror/copy/copy-image.ts'
import { Retention } from '../../../src/mirror/copy/retention.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { RegistryClient } from '../../../src/mirror/registry/registry-client.ts'
import { Repository } from '../../../src/mirror/registry/repository.ts'
import {
  digestOf,
  startPushableRegistry,
  type Fault,
  type StoredRepository,
} from '../../support/pushable-registry.ts'
import { putImage, putIndex, tag } from '../../support/image-fixtures.ts'
import { fastClock } from '../registry/clients.ts'
import { faults, pick, randomOf, type Sides } from './faulty-world.ts'

const copies = Number(process.env['MIRROR_COPIES'] ?? 30)
const float = 'ocp_ubi_9'
const maxRuns = 60

/** One life of the program: it ends with a crash, with the loss of its lease, or with the copy. */
class Life {
  readonly tools: CopyTools
  readonly #end = new AbortController()
  readonly #clients: RegistryClient[]
  readonly #sides: Sides
  isHeld = true

  constructor(sides: Sides, now: () => number) {
    this.#sides = sides
    this.tools = { blobs: createBlobCopier(64), retention: new Retention(now) }
    this.#clients = [sides.qci, sides.origin].map(
      ({ origin }) =>
        new RegistryClient({
          origin,
          permit: { isHeld: () => this.isHeld },
          rate: { perSecond: 1e6, burst: 1000 },
          clock: fastClock,
          maxTries: 3,
        }),
    )
  }

  crash(): void {
    this.#end.abort()
  }

  async copy(digest: Digest, sourceName: string): Promise<void> {
    const [qci, origin] = this.#clients as [RegistryClient, RegistryClient]
    const { signal } = this.#end
    const isNeighbour = this.#sides.qci === this.#sides.origin
    const target = new Repository({ client: qci, name: 'openshift/ci', mayPush: true, image: float, signal })
    const client = isNeighbour ? qci : origin
    const source = new Repository({ client, name: sourceName, mayPush: false, image: float, signal })
    await copyImage(this.tools, { source, digest, target, float })
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map(async (client) => await client.close()))
  }
}

interface Findings {
  runs: number
  faults: number
  crashes: number
  lost: string[]
  wrong: string[]
}

const empty = ({ manifests, tags, blobs }: StoredRepository): void => {
  for (const map of [manifests, tags, blobs]) map.clear()
}

/** @param registries are emptied and used again */
const copyWithFaults = async (registries: Sides, seed: number, findings: Findings): Promise<void> => {
  const random = randomOf(seed)
  const { qci } = registries
  const sides = random() < 0.5 ? { qci, origin: qci } : registries
  const [stored, original] = [qci.repository('openshift/ci'), sides.origin.repository('ubi9/ubi')]
  for (const repository of [stored, original]) empty(repository)
  const old = random() < 0.8 ? pick(random, [putImage, putIndex])(stored, 'old') : undefined
  if (old !== undefined) tag(stored, float, old)
  const fresh = pick(random, [putImage, putIndex])(original, 'new')
  const rate = pick(random, [0.02, 0.1, 0.3])
  let remaining = 40
  let now = Date.UTC(2026, 0, 1)
  let life = new Life(sides, () => now)

  qci.onTag = (_repository, name, digest, before) => {
    if (before !== undefined && before !== digest && ![...stored.tags.values()].includes(before))
      findings.lost.push(`seed ${seed}: ${before} lost its last tag, ${name}`)
    if (name === float ? digest !== fresh.digest : digest !== old?.digest)
      findings.wrong.push(`seed ${seed}: ${name} is ${digest}`)
  }
  const fault = (): Fault | undefined => {
    if (remaining === 0 || random() >= rate) return undefined
    remaining -= 1
    findings.faults += 1
    const what = random()
    if (what > 0.35) return pick(random, faults)
    if (what > 0.15) life.crash()
    else life.isHeld = false
    // The clock jumps, too: back by an hour, or on.
    now += pick(random, [-3_600_000, 0, 1000])
    findings.crashes += 1
    return pick(random, ['cut before', 'cut after'])
  }
  registries.qci.fault = fault
  registries.origin.fault = fault

  for (let run = 0; run < maxRuns && stored.tags.get(float) !== fresh.digest; run++) {
    findings.runs += 1
    const hasEnded = await life.copy(fresh.digest, 'ubi9/ubi').catch((error: Error) => error)
    // After a crash, or with another replica, nothing in memory is left.
    if (hasEnded?.name === 'PermitLost' || random() < 0.3) {
      await life.close()
      life = new Life(sides, () => now)
    }
  }
  await life.close()
  registries.qci.fault = () => undefined
  registries.origin.fault = () => undefined
  const last = new Life(sides, () => now)
  await last.copy(fresh.digest, 'ubi9/ubi')
  await last.close()
  check(stored, seed, findings, fresh.digest, old?.digest)
}

const check = (
  stored: StoredRepository,
  seed: number,
  findings: Findings,
  fresh: string,
  old: string | undefined,
): void => {
  if (stored.tags.get(float) !== fresh) findings.wrong.push(`seed ${seed}: it did not arrive`)
  if (old !== undefined && ![...stored.tags.values()].includes(old))
    findings.lost.push(`seed ${seed}: the old image has no tag`)
  for (const [digest, bytes] of stored.blobs)
    if (digestOf(bytes) !== digest) findings.wrong.push(`seed ${seed}: wrong bytes as ${digest}`)
}

const startBoth = async (test: Test): Promise<Sides> => ({
  qci: await startPushableRegistry(test),
  origin: await startPushableRegistry(test),
})

await t.test('no fault loses an image, or puts a wrong one under the float', async (t) => {
  const registries = await startBoth(t)
  const findings: Findings = { runs: 0, faults: 0, crashes: 0, lost: [], wrong: [] }
  for (let seed = 1; seed <= copies; seed++) await copyWithFaults(registries, seed, findings)
  t.comment(`${copies} copies, ${findings.runs} runs, ${findings.faults} faults, ${findings.crashes} crashes`)
  t.strictSame(findings.lost, [])
  t.strictSame(findings.wrong, [])
  t.ok(findings.faults > copies / 2 && findings.crashes > copies / 10)
})

/**
 * What `oc image mirror` does with the pairs float -> prune and source -> float, as mirrored before: each try resolves again, and the tag
 * of the prune pair is fixed when the pair is made.
 */
const mirrorAsBefore = async (target: Repository, fresh: Digest): Promise<void> => {
  const prune = '20260102030405_prune___ci_images_mirror__ocp_ubi_9'
  for (let attempt = 0; attempt < 5; attempt++)
    try {
      const old = await target.manifest(float)
      if (old !== undefined) await target.putManifest(prune, old)
      const manifest = await target.manifest(fresh)
      if (manifest !== undefined) await target.putManifest(float, manifest)
      // Another pair of the same batch fails now and then, which repeats all of them.
      if ((await target.resolve('neighbour')) !== undefined) return
    } catch {
      // The whole batch again.
    }
}

await t.test('the sequence of the former program loses images', async (t) => {
  const { qci } = await startBoth(t)
  const stored = qci.repository('openshift/ci')
  const client = new RegistryClient({
    origin: qci.origin,
    permit: { isHeld: () => true },
    rate: { perSecond: 1e6, burst: 1000 },
    clock: fastClock,
    maxTries: 1,
  })
  t.teardown(async () => await client.close())
  const target = new Repository({ client, name: 'openshift/ci', mayPush: true, image: float })
  let lost = 0
  for (let seed = 1; seed <= 20; seed++) {
    for (const map of [stored.manifests, stored.tags]) map.clear()
    const [old, fresh] = [putImage(stored, 'old'), putImage(stored, 'new')]
    tag(stored, float, old)
    tag(stored, 'neighbour', old)
    const random = randomOf(seed)
    qci.fault = ({ path }) => (path.endsWith('neighbour') && random() < 0.5 ? { status: 503 } : undefined)
    await mirrorAsBefore(target, fresh.digest)
    stored.tags.delete('neighbour')
    if (![...stored.tags.values()].includes(old.digest)) lost += 1
  }
  t.comment(`${lost} of 20 old images lost`)
  t.ok(lost > 0)
})
