/**
 * What `quay-proxy sandbox` shows: a pull of each sample image by some of the identities in the RBAC, compared with what RBAC says, and
 * then the commands to paste.
 */
import { relative } from 'node:path'
import type { Logger } from '../telemetry/logging.ts'
import { identitiesIn } from './app-ci/identities.ts'
import { commandsToPaste } from './commands-to-paste.ts'
import { choosePeople } from './people.ts'
import { isRestricted, qciNamespace, sampleImages } from './sample-pulls.ts'
import { startSandbox, type Sandbox } from './sandbox.ts'
import { mirrorCommand, showMirrored } from './tour-mirror.ts'
import { showPulls } from './tour-pulls.ts'

export interface TourOptions {
  readonly logger: Logger
  /** Directories with the RBAC that the proxy itself needs: no identity of them is shown. */
  readonly own: readonly string[]
  /** Directories whose identities log in. */
  readonly rbac: readonly string[]
  /** Users, `group:NAME`, and service accounts by their user names. If empty, some identities of `rbac` log in. */
  readonly as: readonly string[]
  readonly port: number
  /** Whether digests, the words of refusals, and the tags of the registry are printed too. */
  readonly verbose: boolean
  readonly print: (line: string) => void
  /** Ends the tour between two steps. */
  readonly signal: AbortSignal
}

export interface Tour {
  /** Whether every pull ended as RBAC says. */
  readonly succeeded: boolean
  readonly close: () => Promise<void>
}

type Print = TourOptions['print']

/** The last line of `--check`, and its exit code. */
export const verdictOf = ({ succeeded }: Pick<Tour, 'succeeded'>): { text: string; exitCode: 0 | 1 } =>
  succeeded
    ? { text: 'All as it should be.', exitCode: 0 }
    : { text: 'Not as it should be: see above.', exitCode: 1 }

/** @throws {Error} if the sandbox cannot start, or `signal` ended it; nothing is left behind then */
export const startTour = async (options: TourOptions): Promise<Tour> => {
  const { logger, own, rbac, port, signal } = options
  const sandbox = await startSandbox({
    logger,
    rbac: [...own, ...rbac],
    port,
    families: true,
    mirror: true,
    signal,
  })
  try {
    return { succeeded: await showSandbox(sandbox, options), close: sandbox.close }
  } catch (error) {
    await sandbox.close()
    throw error
  }
}

/** @returns whether every pull ended as RBAC says */
export const showSandbox = async (
  sandbox: Sandbox,
  { own, rbac, as, verbose, print, signal }: Omit<TourOptions, 'logger' | 'port'>,
): Promise<boolean> => {
  const identities = identitiesIn(sandbox.objects.slice(own.length).flat())
  const people = choosePeople(as, {
    kubernetes: sandbox.kubernetes,
    identities,
    isRestricted,
    qciNamespace,
    namespaces: sampleImages.map(({ namespace }) => namespace),
  })
  showAddresses(sandbox, [...own, ...rbac], print)
  showSkipped(sandbox, print)
  if (verbose) showTags(sandbox, print)
  const pulls = { people, print, verbose, signal }
  const { mirror } = sandbox
  const arePulled = await showPulls(sandbox, pulls)
  const isMirrored = mirror === undefined || (await showMirrored({ ...sandbox, mirror }, pulls))
  if (as.length === 0)
    print(`\nIdentities in the RBAC: ${identities.all.length}. --as logs in as any of them.`)
  print('\nCommands to try it. Each login replaces the one before it.')
  for (const line of commandsToPaste(sandbox, people)) print(line)
  if (mirror !== undefined) for (const line of await mirrorCommand(sandbox, people)) print(line)
  return arePulled && isMirrored
}

const showAddresses = (
  { kubernetes, quay, url, metricsUrl, mirror }: Sandbox,
  directories: readonly string[],
  print: Print,
): void => {
  const shown = directories.map((directory) => relative('', directory))
  print(`app.ci      ${kubernetes.url}  the cluster: checks tokens and RBAC, from ${shown.join(' and ')}`)
  print(`quay.io     ${quay.url}  the registry, with its CDN at ${quay.cdnUrl}`)
  if (mirror !== undefined)
    print(`mirror      ${mirror.url}  ci-images-mirror, with a registry at ${mirror.source.url}`)
  print(`quay-proxy  ${url}  the proxy, with metrics at ${metricsUrl}/metrics`)
}

/** More would push everything else off the screen. */
const mostSkipped = 20

const showSkipped = ({ skipped }: Sandbox, print: Print): void => {
  if (skipped.length > 0) print('\nLeft out of the RBAC:\n')
  for (const text of skipped.slice(0, mostSkipped)) print(`  ${text}`)
  if (skipped.length > mostSkipped) print(`  and ${skipped.length - mostSkipped} more`)
}

const showTags = ({ stock, families }: Sandbox, print: Print): void => {
  print('\nTags in the registry:\n')
  for (const { tag, platforms } of stock.tags) print(`  ${tag}  ${platforms.join(' ')}`)
  for (const { tag } of families?.tags ?? []) print(`  ${tag}`)
}
