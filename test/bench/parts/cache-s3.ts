/** The cache in S3: a hit there, compared with nginx in front of the same S3. */
import { setTimeout as sleep } from 'node:timers/promises'
import { missing } from '../../e2e/process.ts'
import { cpuPerGigabyte } from '../clients/cpu-per-gigabyte.ts'
import { startBlobCacheNginx, startPassingNginx } from '../peers/nginx.ts'
import { atMost, mustHold, times, type Part, type Section, type Setting } from '../section.ts'
import { median } from '../statistics.ts'
import { startAppCi } from '../system/app-ci.ts'
import { startOrigin, type File, type Origin } from '../system/origin.ts'
import { scratch } from '../system/processes.ts'
import { startProxy, type Proxy } from '../system/proxy.ts'
import { startVersitygw } from '../system/versitygw.ts'

const blobs = 5
const blobBytes = 200e6
/** Milliseconds until all blobs must be uploaded. */
const maxUploadMs = 60_000

const keyOf = ({ digest }: File): string => {
  const hex = digest.slice('sha256:'.length)
  return `blobs/sha256/${hex.slice(0, 2)}/${hex}`
}

const uploadsOf = async ({ metricsUrl }: Proxy): Promise<number> => {
  const text = await (await fetch(metricsUrl)).text()
  return Number(/cache_s3_uploads_total\{kind="blobs",outcome="stored"\} (\d+)/.exec(text)?.[1])
}

/** A replica that has fetched the blobs from upstream, and uploaded them. */
const fill = async (proxy: Proxy, files: readonly File[], token: string): Promise<void> => {
  for (const file of files) await cpuPerGigabyte(proxy, token, file)
  const deadline = performance.now() + maxUploadMs
  while ((await uploadsOf(proxy)) < files.length) {
    if (performance.now() > deadline) throw new Error('the blobs were not uploaded in time')
    await sleep(100)
  }
}

const filesOf = async (origin: Origin): Promise<readonly File[]> => {
  const files = []
  for (let count = 0; count < blobs; count++) files.push(await origin.add(blobBytes))
  return files
}

const run = async ({ main, say }: Setting): Promise<Section> => {
  const absent = missing('versitygw')
  if (absent !== false) throw new Error(absent)
  await using directory = await scratch()
  await using origin = await startOrigin(directory.path, 1e6)
  await using appCi = await startAppCi()
  await using s3 = await startVersitygw(directory.path)
  const flags = ['--cache-bytes=20Gi', '--restricted-index=off', ...s3.flags]
  const options = { main, directory: directory.path, appCi, upstream: origin.url }
  const startReplica = async (name: string) =>
    await startProxy({ ...options, name, flags: [`--cache-dir=${directory.path}/${name}-cache`, ...flags] })
  const files = await filesOf(origin)
  await using first = await startReplica('first')
  say(`${blobs} blobs of ${blobBytes / 1e6} MB into S3`)
  await fill(first, files, appCi.longToken)
  await using second = await startReplica('second')
  await using passing = await startPassingNginx(directory.path, s3.host)
  await using caching = await startBlobCacheNginx(directory.path, 'nginx-s3', { ...origin, host: s3.host })
  const contenders = [
    { label: 'nginx proxy_pass to S3', server: passing, isS3: true },
    { label: 'nginx proxy_cache, filled from S3', server: caching, isS3: true },
    { label: 'quay-proxy, an empty disk filled from S3', server: second, isS3: false },
  ].map((one) => ({ ...one, seconds: [] as number[] }))
  say('each blob through each server')
  for (const [round, file] of files.entries())
    for (const { server, isS3, seconds } of contenders) {
      const path = isS3 ? await s3.signedPath(keyOf(file)) : file.path
      const measured = await cpuPerGigabyte(server, appCi.longToken, { ...file, path })
      // The first round warms up.
      if (round > 0) seconds.push(measured)
    }
  const text = await (await fetch(second.metricsUrl)).text()
  const fromS3 = Number(/quay_proxy_blobs_total\{tier="s3"\} (\d+)/.exec(text)?.[1])
  const base = median(contenders[0]!.seconds)
  return {
    tables: [
      {
        columns: ['', 'CPU s/GB', 'of nginx proxy_pass'],
        rows: contenders.map(({ label, seconds }) => [
          label,
          median(seconds).toFixed(2),
          times(median(seconds) / base),
        ]),
      },
    ],
    outcomes: [
      mustHold('the second replica reads each blob from S3', `${fromS3} of ${blobs}`, fromS3 === blobs),
      atMost({
        what: 'CPU of a hit from S3 over that of nginx proxy_pass',
        limit: 1.3,
        measured: median(contenders[2]!.seconds) / base,
        format: times,
      }),
    ],
  }
}

export const cacheS3: Part = {
  name: 'cache-s3',
  title: 'The cache in S3',
  about: `CPU seconds, user and system, that a server spends on a gigabyte which is in S3 (versitygw over plain http): the median of ${blobs - 1} blobs of ${blobBytes / 1e6} MB
after one to warm up. A second replica of the proxy with an empty disk reads them: it verifies each blob and writes it to its disk. nginx passes signed requests on to the
same S3, and in the second row also writes to its disk; it verifies nothing. The clients check every digest.`,
  run,
}
