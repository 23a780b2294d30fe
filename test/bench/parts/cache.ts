/**
 * The cache of blobs: the costs of a hit and a miss, compared with nginx and CNCF distribution, and the requests to upstream for a release.
 */
import { missing } from '../../e2e/process.ts'
import type { Part, Section, Setting } from '../section.ts'
import { startAppCi } from '../system/app-ci.ts'
import { startOrigin } from '../system/origin.ts'
import { scratch } from '../system/processes.ts'
import { clients, layerBytes, layers, measureColdImage } from './cache/cold-image.ts'
import { copySeconds, hashSeconds } from './cache/floors.ts'
import { bytesPerSecond, followers, lateReaders, measureFollowers } from './cache/followers.ts'
import { largeBytes, measureTiers, rounds, smallFiles } from './cache/tiers.ts'

const run = async (setting: Setting): Promise<Section> => {
  const absent = missing('docker-registry')
  if (absent !== false) throw new Error(absent)
  await using directory = await scratch()
  await using origin = await startOrigin(directory.path, { largeBytes: 1e6 })
  await using appCi = await startAppCi()
  const bench = { ...setting, directory: directory.path, origin, appCi }
  const { tables, outcomes } = await measureTiers(bench)
  const release = await measureColdImage(bench)
  const following = await measureFollowers(bench)
  const noStore = missing('versitygw')
  return {
    tables: [...tables, release.table, following.table],
    outcomes: [...outcomes, ...release.outcomes, ...following.outcomes],
    notes: [
      `sha256 alone, of 1 GB in this process: ${hashSeconds().toFixed(2)} s of CPU. A miss and a hit from S3 cost that more than nginx, which compares nothing.`,
      `An HTTP server of Node that reads a file into a buffer and writes it to the same client, plain, and does nothing else: ${(await copySeconds(await origin.add(largeBytes))).toFixed(2)} s. A hit cannot cost less.`,
      ...(noStore === false ? [] : [`Hits from S3 were not measured: ${noStore}.`]),
    ],
  }
}

export const cache: Part = {
  name: 'cache',
  title: 'A cache of blobs',
  about: `CPU seconds, user and system, that each one spends on a gigabyte: the median of ${rounds} downloads of ${largeBytes / 1e6} MB by one client, after one to warm up,
every digest checked by the client. The first table of each kind is of blobs that it has not seen, until it is idle again, so that what it stores after the last
byte is counted. Time to the first byte: ${smallFiles} blobs of 64 KiB, one after the other on one connection, before the large ones. nginx has one worker and its
default buffers. It compares nothing with a digest, and knows nobody; quay-proxy authenticates, authorizes, logs, and hashes what it stores. Plain to the client
nginx uses \`sendfile\`, which no program can do that touches the bytes. docker-registry is Debian's CNCF distribution 2.8, as a pull-through cache on a disk. The origin is plain and answers
directly. From S3: versitygw on the same machine; the disk of the proxy is too small for the blob, so it stores nothing, but hashes the blob on the way.

The release: ${clients} people pull a cold image of ${layers} layers of ${layerBytes / 1024} KiB at once. docker-registry stands between quay-proxy and quay there, since it cannot tell people apart.
docker-registry fetches a blob again for clients that come while it fetches it, and logs in each time: many of its answers come so late that the proxy in front of it gives up, with 504.

The followers: an origin that sends ${bytesPerSecond / 1e6} MB/s fills 1 GB. ${followers} clients read it at 20 kB/s each meanwhile, and compare the bytes; ${lateReaders} more come at 90 %, one after the other,
each on a new connection, and leave after the first byte. Between them, ${lateReaders} others read another blob, which is on the disk.`,
  run,
}
