/**
 * Traces, if the variables of OpenTelemetry ask for them. Otherwise no module of OpenTelemetry is loaded.
 */
import type { OpenTelemetryOptions, TracingEnvironment } from './open-telemetry.ts'
import { noTracing, type Tracing } from './tracing.ts'

/** @throws {Error} if a variable cannot be used */
export const loadTracing = async (
  environment: TracingEnvironment,
  options: OpenTelemetryOptions,
): Promise<Tracing> => {
  if (!isWanted(environment)) return noTracing
  const { createOpenTelemetry } = await import('./open-telemetry.ts')
  return createOpenTelemetry(environment, options)
}

/** An empty variable counts as unset. */
const isWanted = (environment: TracingEnvironment): boolean =>
  Boolean(environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || environment.OTEL_EXPORTER_OTLP_ENDPOINT) &&
  environment.OTEL_SDK_DISABLED?.toLowerCase() !== 'true' &&
  (environment.OTEL_TRACES_EXPORTER || 'otlp') === 'otlp'
