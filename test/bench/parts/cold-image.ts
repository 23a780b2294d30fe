/** A release: many clients pull the same new image in the same second. */
import type { PullsInput, PullsReport } from '../clients/pulls.ts'
import { mustHold, type Part, type Section, type Setting } from '../section.ts'
import type { RecordedRequest } from '../../../src/sandbox/quay/origin.ts'
import { startAppCi } from '../system/app-ci.ts'
import { scratch, startClient } from '../system/processes.ts'
import { startProxy } from '../system/proxy.ts'
import { countRequests, startSandboxQuay, tagImage } from '../system/quay.ts'

const clients = 200
const layers = 20
/** Bytes. Small, because this part counts requests: 200 times two platforms of 20 layers are 260 MB. */
const layerBytes = 32 * 1024
const tag = 'ocp_4.5_base'

/** Requests for each manifest. */
const timesEach = (requests: readonly RecordedRequest[]): readonly number[] => {
  const urls = requests.map(({ url }) => url).filter((url) => url.includes('/manifests/'))
  return [...Map.groupBy(urls, (url) => url).values()].map(({ length }) => length)
}

const run = async ({ main, say }: Setting): Promise<Section> => {
  await using directory = await scratch()
  await using appCi = await startAppCi()
  await using upstream = await startSandboxQuay()
  const { quay } = upstream
  const platforms = ['linux/amd64', 'linux/arm64'] as const
  const image = await tagImage(quay, tag, { platforms, layers, layerBytes })
  await using proxy = await startProxy({ main, directory: directory.path, appCi, upstream: quay.url })
  say(`${clients} clients`)
  const tokens = Array.from({ length: clients }, (_, index) => appCi.issue(`person-${index}`))
  const input: PullsInput = { registry: proxy.url, repository: 'ocp/4.5', reference: 'base', tokens }
  await using child = startClient<PullsReport>('pulls.ts', input)
  const report = await child.next()
  const { logins, manifests, blobs, cdn } = countRequests(quay.requests)
  const each = timesEach(quay.requests)
  const tokenFetches = quay.requests.filter(({ url }) => url.startsWith('/v2/auth')).length
  const { tokenReviews, subjectAccessReviews } = appCi.api.requests
  const bytes = [...image.blobs.values()].reduce((total, { length }) => total + length, 0)
  return {
    tables: [
      {
        columns: ['asked of', 'what', 'times'],
        rows: [
          ['quay', 'requests of the login', String(logins)],
          ['quay', `manifests (an index and ${platforms.length} more)`, String(manifests)],
          ['quay', `blobs (${image.blobs.size} for each client)`, String(blobs)],
          ['the CDN', 'blobs', String(cdn)],
          ['app.ci', `TokenReviews (${clients} tokens)`, String(tokenReviews)],
          ['app.ci', 'SubjectAccessReviews (one more at the start)', String(subjectAccessReviews)],
          ['the clients', 'retries: after 429 or 503, or not connected in time', String(report.repeats)],
        ],
      },
    ],
    outcomes: [
      mustHold(
        'upstream sees each manifest once',
        `${each.length} manifests, ${Math.max(...each)} times the most`,
        each.length === image.manifests.length && each.every((count) => count === 1),
      ),
      mustHold('upstream sees one token fetch', String(tokenFetches), tokenFetches === 1),
      mustHold(
        'every client gets every byte, each digest checked',
        [`${report.whole} of ${clients} in ${report.seconds.toFixed(1)} s`, ...report.failures].join('; '),
        report.whole === clients &&
          report.digests.join() === image.digest &&
          report.bytes.join() === String(bytes),
      ),
    ],
  }
}

export const coldImage: Part = {
  name: 'cold-image',
  title: `${clients} clients pull the same cold image`,
  about: `${clients} people, each with a login of their own, pull an image of ${layers} layers of ${layerBytes / 1024} KiB for two platforms at once, from a proxy that
has just started. The table counts the requests that reach upstream and app.ci. Without a cache on a disk, blobs are streamed to each client by itself. A client
that is told to retry does so, as podman would, and so does a client that could not connect in time; both are counted. Layers this small measure
requests, not bytes. Clients, proxy and upstream share the cores of one machine.`,
  run,
}
