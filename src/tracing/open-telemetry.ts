/**
 * The SDK of OpenTelemetry: spans wait in a bounded queue, and are sent in batches over OTLP (HTTP, JSON). No request waits for a collector.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider, type SpanExporter } from '@opentelemetry/sdk-trace'
import type { Logger } from 'pino'
import { createSampler, type SamplerEnvironment } from './sampling.ts'
import { StageSpans } from './stage-spans.ts'
import type { Tracing } from './tracing.ts'

export type TracingEnvironment = SamplerEnvironment &
  Readonly<
    Partial<
      Record<
        | 'OTEL_EXPORTER_OTLP_ENDPOINT'
        | 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
        | 'OTEL_EXPORTER_OTLP_PROTOCOL'
        | 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'
        | 'OTEL_SDK_DISABLED'
        | 'OTEL_TRACES_EXPORTER',
        string
      >
    >
  >

export interface OpenTelemetryOptions {
  readonly logger: Pick<Logger, 'info' | 'warn'>
  readonly version: string
  /** Milliseconds for what is left at the end of the program. */
  readonly closeMs?: number
}

/** Milliseconds between two batches, and for one of them. */
const batches = { scheduledDelayMillis: 2000, exportTimeoutMillis: 10_000 }
/** Spans: about 1 kB each. Those over the limit are dropped. */
const queue = { maxQueueSize: 4096, maxExportBatchSize: 512 }
/** Characters: names of images have up to 500. */
const spanLimits = { attributeValueLengthLimit: 512 }
const defaultCloseMs = 2000

/**
 * The exporter reads the variables of the process by itself: endpoint, headers, certificates, timeout.
 * @throws {Error} if a variable cannot be used
 */
export const createOpenTelemetry = (
  environment: TracingEnvironment,
  { logger, version, closeMs = defaultCloseMs }: OpenTelemetryOptions,
): Tracing => {
  const endpoint = endpointOf(environment)
  const protocol = environment.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || environment.OTEL_EXPORTER_OTLP_PROTOCOL
  if (protocol && protocol !== 'http/json')
    logger.warn({ protocol }, 'traces are exported as http/json, not by the protocol that is set')
  const provider = new TracerProvider({
    sampler: createSampler(environment),
    spanLimits,
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'quay-proxy', 'service.version': version }))
      .merge(detectResources({ detectors: [serviceInstanceIdDetector, envDetector] })),
    spanProcessors: [
      new BatchSpanProcessor({ ...queue, ...batches, exporter: reporting(new OTLPTraceExporter(), logger) }),
    ],
  })
  logger.info({ endpoint: endpoint.origin }, 'traces are exported')
  const { startRequest, stage, annotate, outgoing } = new StageSpans(
    provider.getTracer('quay-proxy', version),
  )
  const close = async (): Promise<void> => {
    const shutdown = provider.shutdown().catch(() => undefined)
    await Promise.race([shutdown, sleep(closeMs, undefined, { ref: false })])
  }
  return { startRequest, stage, annotate, outgoing, close }
}

/** The exporter would take `http://localhost:4318` instead of a URL that it cannot read. */
const endpointOf = (environment: TracingEnvironment): URL => {
  const name = environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
    ? 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
    : 'OTEL_EXPORTER_OTLP_ENDPOINT'
  const url = URL.parse(String(environment[name]))
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new Error(`${name} is not a URL with http or https`)
  return url
}

/** One line of the log when exports begin to fail, and one when they succeed again. */
const reporting = (exporter: SpanExporter, logger: OpenTelemetryOptions['logger']): SpanExporter => {
  let isFailing = false
  return {
    export: (spans, onResult) =>
      exporter.export(spans, (result) => {
        const { error } = result
        if (error !== undefined && !isFailing)
          logger.warn({ reason: error.message }, 'traces cannot be exported; they are dropped')
        if (error === undefined && isFailing) logger.info('traces are exported again')
        isFailing = error !== undefined
        onResult(result)
      }),
    shutdown: async () => await exporter.shutdown(),
  }
}
