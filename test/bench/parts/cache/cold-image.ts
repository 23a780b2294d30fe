/** A release: many clients pull the same cold image through a proxy with a cache on a disk, and through one in front of distribution. */
import type { PullsInput, PullsReport } from '../../clients/pulls.ts'
import { startDistribution } from '../../peers/blob-caches.ts'
import { mustHold, type Outcome, type Setting, type Table } from '../../section.ts'
import type { AppCi } from '../../system/app-ci.ts'
import { startClient } from '../../system/processes.ts'
import { robot, startProxy } from '../../system/proxy.ts'
import { countRequests, startSandboxQuay, tagImage, type Asked } from '../../system/quay.ts'

export const clients = 200
export const layers = 20
export const layerBytes = 32 * 1024
const tag = 'ocp_4.5_base'

interface Release extends Asked {
  readonly label: string
  readonly report: PullsReport
}

export const measureColdImage = async (
  setting: Setting & { readonly directory: string; readonly appCi: AppCi },
): Promise<{ readonly table: Table; readonly outcomes: readonly Outcome[] }> => {
  const own = await release(setting, 'quay-proxy with --cache-dir')
  const peer = await release(setting, 'quay-proxy before docker-registry')
  const once = layers + 1
  return {
    table: {
      columns: [
        '',
        'blobs asked of quay',
        'of the CDN',
        'manifests',
        'logins',
        'whole pulls',
        'seconds',
        'the other pulls',
      ],
      rows: [own, peer].map(({ label, blobs, cdn, manifests, logins, report }) => [
        label,
        ...[blobs, cdn, manifests, logins, report.whole].map(String),
        report.seconds.toFixed(1),
        reasonsOf(report).join('; '),
      ]),
    },
    outcomes: [
      mustHold(
        `${clients} clients of a cold image: quay and its CDN see each blob once, ${2 * once} requests instead of ${2 * once * clients}`,
        `${own.blobs + own.cdn}, with ${[`${own.report.whole} of ${clients} whole pulls`, ...reasonsOf(own.report)].join('; ')}`,
        own.blobs === once && own.cdn === once && own.report.whole === clients,
      ),
    ],
  }
}

/** Why pulls failed, each reason once, whatever the request. */
const reasonsOf = ({ failures }: PullsReport): readonly string[] => [
  ...new Set(failures.map((failure) => failure.replace(/ \(request id [^)]*\)/, ''))),
]

const release = async (
  { main, directory, appCi, say }: Parameters<typeof measureColdImage>[0],
  label: string,
): Promise<Release> => {
  say(`${clients} clients: ${label}`)
  await using upstream = await startSandboxQuay()
  const { quay } = upstream
  await tagImage(quay, tag, { platforms: ['linux/amd64'], layers, layerBytes })
  const hasDisk = label.includes('--cache-dir')
  await using stack = new AsyncDisposableStack()
  const registry = hasDisk
    ? undefined
    : stack.use(
        await startDistribution({
          directory,
          name: 'distribution-release',
          scheme: 'http',
          upstream: quay.url,
          account: robot,
        }),
      )
  const before = countRequests(quay.requests)
  await using proxy = await startProxy({
    main,
    directory,
    name: hasDisk ? 'proxy-release' : 'proxy-release-distribution',
    appCi,
    upstream: registry?.url ?? quay.url,
    flags: hasDisk ? [`--cache-dir=${directory}/cache-release`] : ['--max-upstream-connections=1024'],
  })
  const tokens = Array.from({ length: clients }, (_, index) => appCi.issue(`person-${index}`))
  const input: PullsInput = { registry: proxy.url, repository: 'ocp/4.5', reference: 'base', tokens }
  await using child = startClient<PullsReport>('pulls.ts', input)
  const report = await child.next()
  const { logins, ...after } = countRequests(quay.requests)
  return { label, report, ...after, logins: logins - before.logins }
}
