/**
 * Where the bytes come from, composed of the stages between the registry and upstream.
 */
import type { Config } from '../config/config.ts'
import { RegistryError } from '../errors.ts'
import type { KnownDigests, KnownDigestsUpstream } from '../known-digests.ts'
import type { Logger } from '../logging.ts'
import type { Metrics } from '../metrics.ts'
import { parseManifest } from '../oci/manifest.ts'
import { createSource, type MadeSource } from '../quay/source.ts'
import type { Digest } from '../reference.ts'
import type { SharedState } from '../shared-state/shared-state.ts'
import { createSourceGauges, createSourceMetrics } from '../source-metrics.ts'
import type { Files } from './secret-files.ts'

export interface UpstreamParts {
  readonly config: Config
  readonly logger: Logger
  readonly metrics: Metrics
  readonly files: Files
  readonly knownDigests: Pick<KnownDigests, 'learn'>
  readonly shared: Pick<SharedState, 'tokenBucket'>
}

export const composeUpstream = ({
  config,
  logger,
  metrics,
  files,
  knownDigests,
  shared,
}: UpstreamParts): MadeSource => {
  const made = createSource({
    ...config,
    learn: async (tag, { digest, content }) => {
      const children = content === undefined ? undefined : parseManifest(content)
      await knownDigests.learn(tag, digest, typeof children === 'string' ? undefined : children)
    },
    credentials: files.robot.current,
    // One bucket of all replicas, or this one's share of it: in either case nothing is left to divide.
    replicas: 1,
    tokenBucket: shared.tokenBucket,
    observe: {
      refused: (reason) => {
        metrics.robotRefused.inc()
        logger.error({ reason }, 'upstream refuses a robot')
      },
      request: (labels) => metrics.upstreamRequests.inc(labels),
      ...createSourceMetrics(metrics.registry),
    },
  })
  createSourceGauges(metrics.registry, made.stats)
  files.robot.onChange(made.robot.renew)
  return made
}

/** What is learnt of upstream for a requester, and behind what people wait for. */
export const readsOf = ({ source, background }: MadeSource): KnownDigestsUpstream => ({
  fetchManifest: async (reference, asker) =>
    await digestOf(source.fetchManifest({ method: 'GET', reference, accept: undefined, asker })),
  fetchPage: async (after, asker) => await source.fetchTags({ after, asker }),
  fetchManifestInBackground: async (reference, signal) =>
    await digestOf(background.fetchManifest({ ...indexRequest, method: 'GET', reference, signal })),
  fetchPageInBackground: async (after, signal) =>
    await background.fetchTags({ ...indexRequest, after, signal }),
})

const indexRequest = { accept: undefined, asker: 'the restricted index', priority: 'background' } as const

const absences: ReadonlySet<string> = new Set(['MANIFEST_UNKNOWN', 'MANIFEST_INVALID'])

/** Undefined where upstream has none, or one that is served to nobody: so large that it is refused. */
const digestOf = async (fetching: Promise<{ readonly digest: Digest }>): Promise<Digest | undefined> => {
  try {
    return (await fetching).digest
  } catch (error) {
    if (error instanceof RegistryError && absences.has(error.code)) return undefined
    throw error
  }
}
