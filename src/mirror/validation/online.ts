/**
 * Checks a configuration against the registries: sources that do not exist, that lack a part, or that cannot be copied with their digest.
 */
import { formatSource, imageOf, type MirrorConfig, type SupplementalImage } from '../config/mirror-config.ts'
import type { Problem } from '../config/problem.ts'
import { readSourceImage } from '../copy/source-image.ts'
import { versionOf } from '../names/image-reference.ts'
import { floatTagOf, formatTarget } from '../names/qci-names.ts'
import { RegistryFailure } from '../registry/failure.ts'
import type { Repository } from '../registry/repository.ts'
import { isFromDockerHub } from './sources.ts'

export interface OnlineOptions {
  /** The previous version: an entry that has not changed since is not read. */
  readonly base?: MirrorConfig | undefined
  /** The client for a registry, which only reads. @param registry `quay.io` */
  readonly repositoryOf: (registry: string, name: string, image: string) => Repository
  readonly qci: { readonly registry: string; readonly repository: string }
  /** The deadline for all entries together. `repositoryOf` needs the same one. */
  readonly signal?: AbortSignal
  /** After each entry. */
  readonly onRead?: (read: number, all: number) => void
}

/** Entries that are read at a time; each registry has a pace of its own. */
const maxConcurrent = 8

/** The sources of `supplementalCIImages`, without images that are not copied. They have no order. */
export const checkOnline = async (
  config: MirrorConfig,
  options: OnlineOptions,
): Promise<readonly Problem[]> => {
  const before = new Map(
    options.base?.supplemental.map((entry) => [entry.subject, formatSource(entry.source)]),
  )
  const entries = readEntries(config, before)
  const all = entries.length
  const problems: Problem[] = []
  let read = 0
  const work = async (): Promise<void> => {
    for (let entry = entries.pop(); entry !== undefined; entry = entries.pop()) {
      const isNew = options.base !== undefined && !before.has(entry.subject)
      problems.push(...(await problemsOf(entry, isNew, options)))
      read += 1
      options.onRead?.(read, all)
    }
  }
  await Promise.all(Array.from({ length: maxConcurrent }, work))
  return problems
}

/** The entries that a change adds. Ignored sources and Docker Hub, which is refused anyway, are left out. */
const readEntries = (
  { supplemental, ignored }: MirrorConfig,
  before: ReadonlyMap<string, string>,
): SupplementalImage[] => {
  const ignoredSources = new Set(ignored.map(({ source }) => formatSource(source)))
  return supplemental.filter(({ subject, source }) => {
    const text = formatSource(source)
    return before.get(subject) !== text && !ignoredSources.has(text) && !isFromDockerHub(imageOf(source))
  })
}

const problemsOf = async (
  entry: SupplementalImage,
  isNew: boolean,
  options: OnlineOptions,
): Promise<readonly Problem[]> => {
  const { position, subject } = entry
  try {
    options.signal?.throwIfAborted()
    const source = await sourceProblem(entry, options)
    const target = isNew ? await targetProblem(entry, options) : undefined
    return [source, target].flatMap((found) => (found === undefined ? [] : [{ position, subject, ...found }]))
  } catch (error) {
    return [{ position, subject, severity: 'error', ...failureOf(entry, error, options.signal) }]
  }
}

/** @throws an error that is not a failure of a registry */
const failureOf = (
  { source }: SupplementalImage,
  error: unknown,
  signal: AbortSignal | undefined,
): Pick<Problem, 'message' | 'cure'> => {
  const image = `source image ${formatSource(source)}`
  if (signal?.aborted === true)
    return {
      message: `${image} was not read before the deadline`,
      cure: 'run the check again, with a longer --online-timeout or with --base',
    }
  if (!(error instanceof RegistryFailure)) throw error
  const cure =
    error.kind === 'refused'
      ? 'make the image public and whole, or name another source'
      : 'run the check again; if it fails again, look whether the registry is up'
  return { message: `${image} cannot be copied: ${error.message}`, cure }
}

type Found = Pick<Problem, 'severity' | 'message' | 'cure'>

const sourceProblem = async (
  { target, source }: SupplementalImage,
  { repositoryOf }: OnlineOptions,
): Promise<Found | undefined> => {
  const image = imageOf(source)
  const repository = repositoryOf(image.registry, image.repository, formatTarget(target))
  const digest = await repository.resolve(versionOf(image))
  const error = (what: string, cure: string): Found => ({
    severity: 'error',
    message: `source image ${formatSource(source)} ${what}`,
    cure,
  })
  if (digest === undefined) return error('does not exist', 'push it, or correct the reference')
  const manifests = await readSourceImage(repository, digest)
  const isEmpty = manifests.every(
    ({ content }) => content.children.length === 0 && content.blobs.length === 0,
  )
  return isEmpty ? error('has no platforms', 'push the source again, with an image in its list') : undefined
}

/** Builds may have promoted this image in the past. It would get a prune tag, and be replaced. */
const targetProblem = async (
  { target }: SupplementalImage,
  { repositoryOf, qci }: OnlineOptions,
): Promise<Found | undefined> => {
  const float = floatTagOf(target)
  const repository = repositoryOf(qci.registry, qci.repository, formatTarget(target))
  if ((await repository.resolve(float)) === undefined) return undefined
  return {
    severity: 'warning',
    message: `target ${formatTarget(target)} already exists in ${qci.registry}/${qci.repository} as ${float}`,
    cure: 'look who wrote it: the mirror replaces it, and keeps it under a prune tag',
  }
}
