/**
 * Ten images on their way into QCI, with faults between any two requests: refusals, cuts, wrong bytes, 429, kills, lost leases and jumps of
 * the clock. Whatever copies them is watched from outside, by every change of a tag.
 */
import type { Digest } from '../../../src/oci/digest.ts'
import { floatTagOf, parseTarget, type ImageStreamTag } from '../../../src/mirror/names/qci-names.ts'
import { putImage, putIndex, tag } from '../../support/image-fixtures.ts'
import {
  digestOf,
  type Fault,
  type PushableRegistry,
  type StoredRepository,
} from '../../support/pushable-registry.ts'

export type Random = () => number

/** From 0 to below 1, the same sequence for the same seed. */
export const randomOf = (seed: number): Random => {
  let state = seed * 2_654_435_761 + 1
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
}

export const pick = <Item>(random: Random, items: readonly Item[]): Item =>
  items[Math.floor(random() * items.length)] as Item

/** What a registry does to a request instead of an answer. */
export const faults: readonly Fault[] = [
  'cut before',
  'cut after',
  'half body',
  'wrong bytes',
  { status: 503 },
  { status: 500 },
  { status: 403 },
  { status: 404 },
  { status: 429 },
  { status: 429, headers: { 'retry-after': '1' } },
]

export interface Sides {
  readonly qci: PushableRegistry
  /** Sources that are not on the registry of QCI. */
  readonly origin: PushableRegistry
}

export interface WorldImage {
  readonly target: string
  readonly float: string
  /** Repository of the source; its tag is `v1`. */
  readonly source: string
  readonly fresh: Digest
  readonly old: Digest | undefined
}

/** A process that copies the images of a world. */
export interface Life {
  /** One pass over all images. Resolves when nothing is left to do. @returns the images that it gave up without their names */
  readonly pass: () => Promise<readonly string[]>
  /** As by `kill -9`. */
  readonly kill: () => void
  /** Another replica has the lease from now on. */
  readonly loseLease: () => void
  readonly close: () => Promise<void>
}

export type StartLife = (world: World) => Life

export interface Outcome {
  copies: number
  lives: number
  faults: number
  kills: number
  leasesLost: number
  clockJumps: number
  /** Old digests that had no tag, for a moment or at the end: each once. */
  readonly lost: Set<string>
  /** Sentences. */
  readonly wrong: string[]
  readonly dropped: string[]
}

export const newOutcome = (): Outcome => ({
  copies: 0,
  lives: 0,
  faults: 0,
  kills: 0,
  leasesLost: 0,
  clockJumps: 0,
  lost: new Set(),
  wrong: [],
  dropped: [],
})

const imagesOfWorld = 10
/** Faults of a world, and processes: then all is well, so that it ends. */
const maxFaults = 150
const maxLives = 60

export class World {
  readonly sides: Sides
  readonly images: readonly WorldImage[]
  readonly random: Random
  /** Milliseconds since the epoch, as the program sees it. */
  now = Date.UTC(2026, 0, 1)
  readonly #seed: number
  readonly #outcome: Outcome
  readonly #stored: StoredRepository
  readonly #rate: number
  #left = maxFaults
  #life: Life | undefined
  #over: () => void = () => undefined

  /** @param registries are emptied, and used again */
  constructor(registries: Sides, seed: number, outcome: Outcome) {
    this.#seed = seed
    this.#outcome = outcome
    this.random = randomOf(seed)
    const { qci } = registries
    this.sides = this.random() < 0.5 ? { qci, origin: qci } : registries
    for (const registry of [qci, registries.origin]) clear(registry)
    this.#stored = qci.repository('openshift/ci')
    this.images = Array.from({ length: imagesOfWorld }, (_, index) => this.#image(index))
    this.#rate = pick(this.random, [0.01, 0.05, 0.2])
    this.#watch()
  }

  /** Copies everything, life after life. */
  async run(start: StartLife): Promise<void> {
    const lives: Life[] = []
    this.#outcome.copies += this.images.length
    while (lives.length < maxLives && !this.#isDone()) {
      const life = start(this)
      lives.push(life)
      this.#life = life
      const over = Promise.withResolvers<readonly string[]>()
      this.#over = () => {
        over.resolve([])
      }
      const dropped = await Promise.race([life.pass(), over.promise])
      this.#outcome.dropped.push(...dropped.map((what) => `seed ${this.#seed}: ${what}`))
      this.now += 3_600_000
    }
    // What is left of them ends before the last one begins.
    this.#left = 0
    await Promise.all(lives.map(async (life) => await life.close()))
    const last = start(this)
    await last.pass()
    await last.close()
    this.#outcome.lives += lives.length + 1
    this.#check()
  }

  #image(index: number): WorldImage {
    const target = `ocp/image-${index}:v1`
    const float = floatTagOf(parseTarget(target) as ImageStreamTag)
    const source = `team/image-${index}`
    const original = this.sides.origin.repository(source)
    const old =
      this.random() < 0.8 ? pick(this.random, [putImage, putIndex])(this.#stored, `old-${index}`) : undefined
    if (old !== undefined) tag(this.#stored, float, old)
    const fresh = pick(this.random, [putImage, putIndex])(original, `new-${index}`)
    tag(original, 'v1', fresh)
    return { target, float, source, fresh: fresh.digest, old: old?.digest }
  }

  #watch(): void {
    const { qci, origin } = this.sides
    const byFloat = new Map(this.images.map((image) => [image.float, image]))
    qci.onTag = (_repository, name, digest, before) => {
      if (before !== undefined && before !== digest && !this.#hasTag(before))
        this.#outcome.lost.add(`seed ${this.#seed}: ${before}`)
      const image = byFloat.get(name)
      if (image !== undefined && digest !== image.fresh && digest !== image.old)
        this.#outcome.wrong.push(`seed ${this.#seed}: ${name} is ${digest}`)
    }
    qci.fault = () => this.#fault()
    origin.fault = () => this.#fault()
  }

  #fault(): Fault | undefined {
    if (this.#left === 0 || this.random() >= this.#rate) return undefined
    this.#left -= 1
    this.#outcome.faults += 1
    const what = this.random()
    if (what > 0.2) return pick(this.random, faults)
    const jump = pick(this.random, [-3_600_000, 0, 1000])
    this.now += jump
    if (jump !== 0) this.#outcome.clockJumps += 1
    if (what > 0.08) {
      this.#outcome.kills += 1
      this.#life?.kill()
    } else {
      this.#outcome.leasesLost += 1
      this.#life?.loseLease()
    }
    this.#over()
    return pick(this.random, ['cut before', 'cut after'])
  }

  #hasTag(digest: string): boolean {
    return [...this.#stored.tags.values()].includes(digest)
  }

  #isDone(): boolean {
    return this.images.every(({ float, fresh }) => this.#stored.tags.get(float) === fresh)
  }

  #check(): void {
    for (const { float, fresh, old } of this.images) {
      if (this.#stored.tags.get(float) !== fresh)
        this.#outcome.wrong.push(`seed ${this.#seed}: ${float} did not arrive`)
      if (old !== undefined && !this.#hasTag(old)) this.#outcome.lost.add(`seed ${this.#seed}: ${old}`)
    }
    for (const [digest, bytes] of this.#stored.blobs)
      if (digestOf(bytes) !== digest) this.#outcome.wrong.push(`seed ${this.#seed}: wrong bytes as ${digest}`)
  }
}

const clear = (registry: PushableRegistry): void => {
  registry.requests.length = 0
  registry.uploads.clear()
  for (const name of [
    'openshift/ci',
    ...Array.from({ length: imagesOfWorld }, (_, index) => `team/image-${index}`),
  ]) {
    const { manifests, tags, blobs } = registry.repository(name)
    for (const map of [manifests, tags, blobs]) map.clear()
  }
}

/** The numbers of an outcome, by what they count. */
export const summaryOf = ({ lost, wrong, dropped, ...counts }: Outcome) => ({
  ...counts,
  'old digests without a tag': lost.size,
  'wrong digests': wrong.length,
  'images dropped without a name': dropped.length,
})
