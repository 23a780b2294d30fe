/**
 * Whole pulls through a cache on a disk and in S3 while upstream, the disk and S3 fail: by each fault alone, and by all of them together.
 * The proxy is restarted before each fault, on the directory as it is. Nobody gets a whole wrong blob, and no pull fails.
 */
import { globSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { buildImage } from '../../src/sandbox/quay/images.ts'
import { s3FlagsFor, startS3 } from '../support/s3-server.ts'
import { startAnother } from './another-replica.ts'
import { BadDisk, cacheFaults, type BadSystem, type CacheFault, type When } from './cache-bad-day.ts'
import { createPuller } from './puller.ts'
import { scenario, type Scenario } from './scenario.ts'

/** `.ci/run` does 2,000. */
const pulls = Number(process.env['FAULTS_PULLS'] ?? 150)
const images = 20
const atOnce = 32
/**
 * With many pulls, each fault is injected by itself. With few pulls, the faults of one kind are injected together, because each start of a
 * proxy takes time.
 */
const groups = Object.entries(
  Object.groupBy(cacheFaults, ({ name, isSavable }) =>
    pulls < 1000 ? `${name.split(':', 1).join('')}, ${isSavable ? '' : 'not '}savable` : name,
  ),
) as [string, CacheFault[]][]
/** Half of them; in the other half everything fails. */
const pullsAlone = Math.ceil(pulls / 2 / groups.length)
const pullsOfRound = 100
const pullsTogether = pulls - pullsAlone * groups.length

/** The same faults in every run: https://en.wikipedia.org/wiki/Linear_congruential_generator, numbers of Numerical Recipes. */
const createRandom = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}
const random = createRandom(12)

const stock = async (s: Scenario): Promise<void> => {
  for (let index = 0; index < images; index++)
    s.quay.tag(
      `my-team_app_${index}`,
      await buildImage({
        name: `my-team/app:${index}`,
        platforms: ['linux/amd64'],
        layers: 3,
        // Sizes above and below the bytes that are held back, and above and below one buffer.
        layerBytes: [9000, 60_000, 150_000][index % 3]!,
        format: 'oci',
      }),
    )
}

interface System extends BadSystem {
  readonly scenario: Scenario
  readonly directory: string
  readonly flags: readonly string[]
}

const setUp = async (t: Test, s: Scenario): Promise<System> => {
  const folder = mkdtempSync(join(tmpdir(), 'quay-proxy-cache-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const s3 = await startS3(t)
  const directory = join(folder, 'cache')
  await stock(s)
  return {
    scenario: s,
    quay: s.quay,
    s3,
    disk: new BadDisk(t),
    directory,
    get entries() {
      return globSync(join(directory, 'blobs', '*', '*', '*'))
    },
    flags: [
      '--restricted-index=off',
      `--cache-dir=${directory}`,
      ...s3FlagsFor(t, s3),
      '--tag-ttl=50ms',
      '--stall-timeout=150ms',
    ],
  }
}

/** Removes some stored entries, so that each tier is used. */
const coolDown = ({ entries, s3 }: System): void => {
  for (const path of entries) if (random() < 0.5) rmSync(path)
  for (const key of s3.objects.keys()) if (random() < 0.4) s3.objects.delete(key)
}

interface Outcome {
  readonly injected: ReadonlyMap<string, number>
  /** Requests that a client had to send again, by the reason that it saw. */
  readonly retries: ReadonlyMap<string, number>
  readonly failures: readonly unknown[]
}

/** Starts a proxy, pulls while these faults are injected, and stops it. */
const phase = async (
  system: System,
  faults: readonly CacheFault[],
  count: number,
  isHit: When,
): Promise<Outcome> => {
  const { scenario: s, quay, s3, disk, flags } = system
  coolDown(system)
  const injected = new Map(faults.map(({ name }) => [name, 0]))
  for (const { name, most = Infinity, inject } of faults)
    inject(system, () => {
      const before = injected.get(name) as number
      if (before >= most || !isHit()) return false
      injected.set(name, before + 1)
      return true
    })
  const proxy = await startAnother(s, flags)
  const client = createPuller({ url: proxy.url, token: s.puller, connections: atOnce })
  const failures: unknown[] = []
  let begun = 0
  const worker = async () => {
    while (begun < count) {
      begun++
      const tag = String(Math.floor(random() * images))
      await client.pull('my-team/app', tag).catch((error: unknown) => failures.push(error))
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  await client.close()
  quay.clearFaults()
  s3.mend()
  disk.clear()
  await proxy.stop()
  return { injected, retries: client.retries, failures }
}

const sum = (counts: Iterable<number>): number => [...counts].reduce((total, count) => total + count, 0)

/** Whole blobs or manifests of another digest. */
const wrongIn = ({ retries, failures }: Outcome): number =>
  sum([...retries].filter(([reason]) => reason.includes('wrong digest')).map(([, count]) => count)) +
  failures.filter((error) => String(error).includes('wrong digest')).length

const row = (t: Test, name: string, outcome: Outcome, count: number): void => {
  const injected = sum(outcome.injected.values())
  const cells = [injected, count, sum(outcome.retries.values()), wrongIn(outcome), outcome.failures.length]
  t.comment(`${name.padEnd(38)} ${cells.map((cell) => String(cell).padStart(9)).join('')}`)
}

/** All faults, with a restart and a cooler cache now and then: a warm one would need nothing. */
const manyPhases = async (system: System): Promise<Outcome> => {
  const injected = new Map<string, number>()
  const retries = new Map<string, number>()
  const failures: unknown[] = []
  const add = (counts: Map<string, number>, more: ReadonlyMap<string, number>) => {
    for (const [name, count] of more) counts.set(name, (counts.get(name) ?? 0) + count)
  }
  for (let begun = 0; begun < pullsTogether; begun += pullsOfRound) {
    const count = Math.min(pullsOfRound, pullsTogether - begun)
    const outcome = await phase(system, cacheFaults, count, () => random() < 0.02)
    add(injected, outcome.injected)
    add(retries, outcome.retries)
    failures.push(...outcome.failures)
  }
  return { injected, retries, failures }
}

await scenario(
  `${pulls} pulls through a cache while everything below it fails`,
  async (t, s) => {
    const system = await setUp(t, s)
    t.comment(`${''.padEnd(38)}  injected    pulls  repeated    wrong   failed`)
    // Both tiers are filled.
    await phase(system, [], images * 2, () => false)
    for (const [name, faults] of groups) {
      let seen = 0
      const areSavable = faults.every(({ isSavable }) => isSavable)
      // A client tries four times: fewer of those that it notices.
      const every = areSavable ? 3 : 6
      const outcome = await phase(system, faults, pullsAlone, () => ++seen % every === 1)
      row(t, name, outcome, pullsAlone)
      t.ok(sum(outcome.injected.values()) > 0, `${name}: injected`)
      t.equal(wrongIn(outcome), 0, `${name}: no whole wrong blob`)
      t.strictSame(outcome.failures, [], `${name}: no pull fails`)
      if (areSavable) t.strictSame([...outcome.retries], [], `${name}: no client notices`)
    }
    const together = await manyPhases(system)
    for (const [name, count] of together.injected)
      t.comment(`together: ${name.padEnd(34)} ${String(count).padStart(7)}`)
    row(t, 'all of them together', together, pullsTogether)
    t.equal(wrongIn(together), 0)
    t.strictSame(together.failures, [], 'no pull fails')
  },
  ['--restricted-index=off'],
)
