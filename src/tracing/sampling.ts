/**
 * Which requests are traced: what `OTEL_TRACES_SAMPLER` says, up to a limit.
 * @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 *
 * Attack: the sampled flag of `traceparent` comes from the client. With it, anybody could have each of their requests traced, and fill the
 * exporter and the collector. So the number of traces is limited, whoever asks for them, and one network gets a fifth of it.
 */
import { createContextKey, type Context } from '@opentelemetry/api'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace'
import { PerKey } from '../concurrency/per-key.ts'
import { createTokenBucket } from '../concurrency/token-bucket.ts'

/** Traced requests: of all clients, and of one network. A pull has up to fifty requests. */
const limits = { all: { perSecond: 50, burst: 250 }, network: { perSecond: 10, burst: 50 } }
const maxNetworks = 2048

const networkKey = createContextKey('network of the client')

export const withNetwork = (context: Context, network: string): Context =>
  context.setValue(networkKey, network)

export type SamplerEnvironment = Readonly<
  Partial<Record<'OTEL_TRACES_SAMPLER' | 'OTEL_TRACES_SAMPLER_ARG', string>>
>

/**
 * @param now milliseconds, monotonic
 * @throws {Error} if a variable has no meaning
 */
export const createSampler = (
  environment: SamplerEnvironment,
  now: () => number = () => performance.now(),
): Sampler => {
  // An empty variable counts as unset, as everywhere in OpenTelemetry.
  const name = environment.OTEL_TRACES_SAMPLER || 'parentbased_always_on'
  const [, parentBased = '', kind = ''] = samplerPattern.exec(name) ?? []
  if (kind === '') throw new Error(`OTEL_TRACES_SAMPLER: ${JSON.stringify(name)} is not a sampler`)
  const limited = createLimited(now)
  const root = limited(rootSamplerOf(kind, environment.OTEL_TRACES_SAMPLER_ARG))
  // Stages of a traced request are always sampled: that is the default for local parents.
  return parentBased === ''
    ? new ParentBasedSampler({ root, remoteParentSampled: root, remoteParentNotSampled: root })
    : new ParentBasedSampler({ root, remoteParentSampled: limited(new AlwaysOnSampler()) })
}

const samplerPattern = /^(parentbased_)?(always_on|always_off|traceidratio)$/

const rootSamplerOf = (kind: string, argument: string | undefined): Sampler => {
  if (kind === 'always_on') return new AlwaysOnSampler()
  if (kind === 'always_off') return new AlwaysOffSampler()
  const ratio = Number(argument || '1')
  if (!(ratio >= 0 && ratio <= 1))
    throw new Error(`OTEL_TRACES_SAMPLER_ARG: ${JSON.stringify(argument)} is not a number from 0 to 1`)
  return new TraceIdRatioBasedSampler(ratio)
}

/** All samplers share the limits. */
const createLimited = (now: () => number) => {
  const all = createTokenBucket(limits.all, now)
  const networks = new PerKey(maxNetworks, () => createTokenBucket(limits.network, now))
  const isWithinLimits = (context: Context): boolean =>
    networks.of(String(context.getValue(networkKey))).take() && all.take()
  return (sampler: Sampler): Sampler => ({
    shouldSample: (context, ...rest) => {
      const result = sampler.shouldSample(context, ...rest)
      return result.decision === SamplingDecision.NOT_RECORD || isWithinLimits(context)
        ? result
        : { decision: SamplingDecision.NOT_RECORD }
    },
    toString: () => `limited(${sampler.toString()})`,
  })
}
