/**
 * Hundreds of whole pulls through an upstream with many faults. The proxy repairs each fault that a retry or a resume can repair. A
 * client has to retry only where upstream sent wrong bytes, or a wrong length, after a right head.
 */
import { readdirSync } from 'node:fs'
import type { Test } from 'tap'
import { buildImage } from '../../src/sandbox/quay/images.ts'
import type { FaultRule } from '../../src/sandbox/quay/faults.ts'
import type { Quay } from '../../src/sandbox/quay/quay.ts'
import { createPuller } from './puller.ts'
import { scenario } from './scenario.ts'

/** `.ci/run` does 2,000. */
const pulls = Number(process.env['FAULTS_PULLS'] ?? 400)
const images = 50
const atOnce = 64

/** The same faults in every run: https://en.wikipedia.org/wiki/Linear_congruential_generator, numbers of Numerical Recipes. */
const createRandom = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

/** Faults are more frequent when there are few pulls. Otherwise a rare fault would be missing by chance. */
const rare = (share: number): number => share * Math.max(1, 2000 / pulls)

/** Shares of the requests to each origin. `isSavable`: the proxy can repair the fault. */
const badDay: readonly (Pick<FaultRule, 'origin'> & {
  name: string
  share: number
  restMs?: number
  isSavable: boolean
  path: RegExp
  fault: (random: () => number) => Partial<FaultRule>
})[] = [
  {
    name: 'blob cut',
    origin: 'cdn',
    path: /./,
    share: 0.05,
    isSavable: true,
    fault: (random) => ({ cutAfterBytes: Math.floor(random() * 40_000) }),
  },
  {
    name: 'blob 502',
    origin: 'cdn',
    path: /./,
    share: 0.05,
    isSavable: true,
    fault: () => ({ status: 502 }),
  },
  {
    name: 'blob stalls',
    origin: 'cdn',
    path: /./,
    share: rare(0.005),
    isSavable: true,
    fault: (random) => ({ stallAfterBytes: Math.floor(random() * 40_000) }),
  },
  {
    name: 'blob reset in the head',
    origin: 'cdn',
    path: /./,
    share: 0.02,
    isSavable: true,
    fault: () => ({ reset: true }),
  },
  {
    name: 'blob signature expired',
    origin: 'cdn',
    path: /./,
    share: 0.02,
    isSavable: true,
    fault: () => ({ status: 403 }),
  },
  {
    name: 'blob ends cleanly, too early',
    origin: 'cdn',
    path: /./,
    share: 0.02,
    isSavable: true,
    fault: (random) => ({ truncateAfterBytes: Math.floor(random() * 40_000) }),
  },
  {
    name: 'blob of wrong bytes',
    origin: 'cdn',
    path: /./,
    share: rare(0.002),
    isSavable: false,
    fault: () => ({ wrongBytes: true }),
  },
  {
    name: 'blob of wrong length',
    origin: 'cdn',
    path: /./,
    share: rare(0.002),
    isSavable: false,
    fault: () => ({ headers: { 'content-length': '77' } }),
  },
  {
    name: 'quay 502',
    origin: 'quay',
    path: /manifests|blobs/,
    share: 0.05,
    isSavable: true,
    fault: () => ({ status: 502 }),
  },
  {
    name: 'quay reset in the head',
    origin: 'quay',
    path: /manifests|blobs/,
    share: 0.02,
    isSavable: true,
    fault: () => ({ reset: true }),
  },
  {
    name: 'quay silent in the head',
    origin: 'quay',
    path: /manifests|blobs/,
    share: rare(0.002),
    isSavable: true,
    fault: () => ({ hang: true }),
  },
  {
    name: 'blob silent in the head',
    origin: 'cdn',
    path: /./,
    share: rare(0.002),
    isSavable: true,
    fault: () => ({ hang: true }),
  },
  {
    name: 'manifest stalls',
    origin: 'quay',
    path: /manifests/,
    share: rare(0.005),
    isSavable: true,
    fault: (random) => ({ stallAfterBytes: Math.floor(random() * 600) }),
  },
  {
    name: 'robot token refused',
    origin: 'quay',
    path: /manifests|blobs/,
    share: 0.01,
    // Two refusals in a row mean that the robot has lost its rights, which is another fault.
    restMs: 1000,
    isSavable: true,
    fault: () => ({ expire: true }),
  },
  {
    name: 'manifest cut',
    origin: 'quay',
    path: /manifests/,
    share: 0.05,
    isSavable: true,
    fault: (random) => ({ cutAfterBytes: Math.floor(random() * 600) }),
  },
  {
    name: 'manifest of wrong bytes',
    origin: 'quay',
    path: /manifests/,
    share: 0.03,
    isSavable: true,
    fault: () => ({ wrongBytes: true }),
  },
]

const inject = (quay: Quay, random: () => number): Map<string, number> => {
  const hits = new Map<string, number>()
  const last = new Map<string, number>()
  for (const { name, origin, path, share, restMs = 0, fault } of badDay)
    // Twenty rules of each kind, with their own parameters and a twentieth of the share each.
    for (let kind = 0; kind < 20; kind++)
      quay.fault({
        origin,
        path,
        count: Infinity,
        when: () => {
          const isHit = random() < share / 20 && Date.now() - (last.get(name) ?? 0) >= restMs
          if (!isHit) return false
          last.set(name, Date.now())
          hits.set(name, (hits.get(name) ?? 0) + 1)
          return true
        },
        ...fault(random),
      })
  return hits
}

const stock = async (quay: Quay): Promise<void> => {
  for (let index = 0; index < images; index++)
    quay.tag(
      `my-team_app_${index}`,
      await buildImage({
        name: `my-team/app:${index}`,
        platforms: ['linux/amd64'],
        layers: 3,
        // A fault within the first 40 kB is within every layer.
        layerBytes: 40_000 + 2000 * (index % 20),
        format: 'oci',
      }),
    )
}

const descriptors = () => readdirSync('/proc/self/fd').length

const table = (t: Test, hits: ReadonlyMap<string, number>, rows: Readonly<Record<string, unknown>>) => {
  for (const { name, isSavable } of badDay)
    t.comment(
      `${name.padEnd(28)} ${String(hits.get(name) ?? 0).padStart(6)} injected, ${isSavable ? 'to be saved by the proxy' : "the client's to find"}`,
    )
  for (const [name, value] of Object.entries(rows))
    t.comment(`${name.padEnd(28)} ${String(value).padStart(6)}`)
}

await scenario(
  `${pulls} pulls with upstream failures: none fails`,
  async (t, { quay, url, puller: token, metrics }) => {
    await stock(quay)
    const before = descriptors()
    const random = createRandom(4)
    const hits = inject(quay, random)
    const client = createPuller({ url, token, connections: atOnce })
    let begun = 0
    let bursts = 0
    const failures: unknown[] = []
    const worker = async () => {
      while (begun < pulls) {
        const index = begun++
        // A burst of 429 for half a second, as nginx in front of quay sends it.
        if (index % 400 === 200) {
          const until = Date.now() + 500
          bursts++
          quay.fault({
            origin: 'quay',
            path: /manifests|blobs/,
            status: 429,
            count: 200,
            when: () => Date.now() < until,
          })
        }
        await client
          .pull('my-team/app', String(Math.floor(random() * images)))
          .catch((error: unknown) => failures.push(error))
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
    await client.close()
    quay.clearFaults()
    const retried = [...client.retries.values()].reduce((sum, count) => sum + count, 0)
    const scraped = await metrics()
    table(t, hits, {
      pulls,
      failed: failures.length,
      'bursts of 429': bursts,
      'client had to ask again': retried,
      ...Object.fromEntries(client.retries),
    })
    t.same(failures, [], 'no pull fails')
    const unsavable = badDay
      .filter(({ isSavable }) => !isSavable)
      .reduce((sum, { name }) => sum + (hits.get(name) ?? 0), 0)
    for (const { name } of badDay) t.ok((hits.get(name) ?? 0) > 0, `${name} was injected`)
    t.ok(
      retried <= unsavable,
      `the client asked again ${retried} times, for ${unsavable} faults that only it can find`,
    )
    t.notOk(
      [...client.retries.keys()].some((reason) => reason.startsWith('manifest')),
      'and never for a manifest',
    )
    t.match(scraped, /quay_proxy_streams_in_flight 0\n/, 'no stream is left')
    t.ok(descriptors() <= before + 2 * atOnce + 64, `descriptors: ${before} before, ${descriptors()} after`)
  },
  ['--tag-ttl=50ms', '--stall-timeout=400ms', '--log-level=error'],
)
