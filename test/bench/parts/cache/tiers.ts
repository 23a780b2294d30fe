/** The CPU time of a gigabyte that is fetched from upstream, from the disk, and from S3, in plain HTTP and over TLS to the client. */
import { startDistribution, startNginxBefore, startNginxBlobCache } from '../../peers/blob-caches.ts'
import { atMost, times, type Outcome, type Setting, type Table } from '../../section.ts'
import type { AppCi } from '../../system/app-ci.ts'
import type { File, Origin } from '../../system/origin.ts'
import { startProxy } from '../../system/proxy.ts'
import { startObjectStore, type ObjectStore } from '../../system/object-store.ts'
import { measureAll, ratioOf, tableOf, type Contender, type Work } from './contender.ts'

export const largeBytes = 256e6
/** Downloads of a large blob that count, by each. */
export const rounds = 3
const smallBytes = 64 * 1024
export const smallFiles = 100

export interface Tiers {
  readonly tables: readonly Table[]
  readonly outcomes: readonly Outcome[]
}

interface Bench extends Setting {
  readonly directory: string
  readonly origin: Origin
  readonly appCi: AppCi
}

const schemes = [
  { scheme: 'http', to: 'plain to the client', limits: { hit: 3, miss: 1.5, s3: 1.3 } },
  { scheme: 'https', to: 'TLS to the client', limits: { hit: 1.3, miss: 1.5, s3: 1.3 } },
] as const

type Scheme = (typeof schemes)[number]

export const measureTiers = async (bench: Bench): Promise<Tiers> => {
  const { origin, appCi } = bench
  const files = async (count: number, bytes: number) => {
    const added: File[] = []
    for (let index = 0; index < count; index++) added.push(await origin.add(bytes))
    return added
  }
  const work: Work = {
    token: appCi.longToken,
    ca: origin.ca,
    large: await files(rounds + 1, largeBytes),
    small: await files(Math.ceil(smallFiles / 0.9), smallBytes),
  }
  const tables: Table[] = []
  const outcomes: Outcome[] = []
  for (const scheme of schemes)
    for (const measure of [measureDisk, measureS3]) {
      const measured = await measure(bench, scheme, work)
      tables.push(...measured.tables)
      outcomes.push(...measured.outcomes)
    }
  return { tables, outcomes }
}

/** Serves https with the certificate of the origin, if the client is to have it. */
const tlsOf = ({ scheme }: Scheme, { ca, key }: Origin) =>
  scheme === 'http' ? {} : { tls: { certificate: ca, key } }

/** Each file is fetched once, which is the miss, and once more. */
const measureDisk = async (bench: Bench, scheme: Scheme, work: Work): Promise<Tiers> => {
  const { main, directory, origin, appCi, say } = bench
  const shared = { directory, scheme: scheme.scheme, origin }
  await using nginx = await startNginxBlobCache(shared)
  await using registry = await startDistribution({ ...shared, upstream: origin.url })
  await using proxy = await startProxy({
    main,
    directory,
    name: `proxy-disk-${scheme.scheme}`,
    appCi,
    upstream: origin.url,
    ...tlsOf(scheme, origin),
    flags: [`--cache-dir=${directory}/cache-${scheme.scheme}`, '--cache-bytes=20Gi'],
  })
  const contenders: readonly Contender[] = [
    { label: 'nginx proxy_cache', ...nginx },
    { label: 'quay-proxy', ...proxy },
    { label: 'docker-registry', ...registry },
  ]
  say(`misses, ${scheme.to}`)
  const miss = await measureAll(contenders, work)
  say(`hits from the disk, ${scheme.to}`)
  const hit = await measureAll(contenders, work)
  const { limits, to } = scheme
  return {
    tables: [tableOf(`miss with fill, ${to}`, miss), tableOf(`hit from the disk, ${to}`, hit)],
    outcomes: [
      atMost({
        what: `CPU per GB over that of nginx, miss with fill, ${to}`,
        limit: limits.miss,
        measured: ratioOf(miss),
        format: times,
      }),
      atMost({
        what: `CPU per GB over that of nginx, hit from the disk, ${to}`,
        limit: limits.hit,
        measured: ratioOf(hit),
        format: times,
      }),
    ],
  }
}

/** A first proxy stores the files in S3. The second one has an empty disk, too small for a large file. */
const measureS3 = async (bench: Bench, scheme: Scheme, work: Work): Promise<Tiers> => {
  const { main, directory, origin, appCi, say } = bench
  const store = await startObjectStore(directory, scheme.scheme)
  if (store === undefined) return { tables: [], outcomes: [] }
  await using _ended = store
  say(`hits from S3, ${scheme.to}`)
  await storeAll(bench, store, scheme, work)
  await using nginx = await startNginxBefore(store.endpoint, { directory, scheme: scheme.scheme, origin })
  await using proxy = await startProxy({
    main,
    directory,
    name: `proxy-s3-${scheme.scheme}`,
    appCi,
    upstream: origin.url,
    ...tlsOf(scheme, origin),
    flags: [...store.flags, `--cache-dir=${directory}/cache-s3-${scheme.scheme}`, '--cache-bytes=100Mi'],
  })
  const measured = await measureAll(
    [
      {
        label: 'nginx proxy_pass to S3',
        ...nginx,
        pathOf: async ({ digest }) => await store.signedPath(digest),
      },
      { label: 'quay-proxy', ...proxy },
    ],
    work,
  )
  return {
    tables: [tableOf(`hit from S3, ${scheme.to}`, measured)],
    outcomes: [
      atMost({
        what: `CPU per GB over that of nginx, hit from S3, ${scheme.to}`,
        limit: scheme.limits.s3,
        measured: ratioOf(measured),
        format: times,
      }),
    ],
  }
}

const storeAll = async (
  { main, directory, origin, appCi }: Bench,
  store: ObjectStore,
  { scheme }: Scheme,
  { token, large, small }: Work,
): Promise<void> => {
  await using proxy = await startProxy({
    main,
    directory,
    name: `proxy-uploads-${scheme}`,
    appCi,
    upstream: origin.url,
    flags: [...store.flags, `--cache-dir=${directory}/cache-uploads-${scheme}`, '--cache-bytes=20Gi'],
  })
  const digests = [...large, ...small]
  for (const { path } of digests) {
    const response = await fetch(proxy.url + path, { headers: { authorization: `Bearer ${token}` } })
    for await (const _chunk of response.body!);
  }
  await store.holds(digests.map(({ digest }) => digest))
}
