/** Real traces whose spans stay in the process. */
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace'
import { StageSpans } from '../../src/tracing/stage-spans.ts'
import { noTracing, type Tracing } from '../../src/tracing/tracing.ts'

export const recordTraces = () => {
  const exporter = new InMemorySpanExporter()
  const started: string[] = []
  const order: SpanProcessor = {
    onStart: ({ name }) => void started.push(name),
    onEnd: () => undefined,
    forceFlush: async () => await Promise.resolve(),
    shutdown: async () => await Promise.resolve(),
  }
  const provider = new TracerProvider({ spanProcessors: [order, new SimpleSpanProcessor({ exporter })] })
  const { stage, annotate, outgoing, startRequest } = new StageSpans(provider.getTracer('test'))
  const tracing: Tracing = { ...noTracing, stage, annotate, outgoing, startRequest }
  const spans = () => exporter.getFinishedSpans()
  /** The names of the spans in the order of their start, except the request's own. */
  const names = () => started.filter((name) => name !== 'request')
  const named = (name: string) => spans().find((span) => span.name === name)
  /** Runs within the span of a request. */
  const within = async <Answer>(work: () => Promise<Answer>): Promise<Answer> => {
    const request = startRequest({ name: 'request', traceparent: undefined, network: '10.0.0.1' })!
    const answer = await new Promise<Answer>((resolve, reject) => {
      request.run(() => void work().then(resolve, reject))
    })
    request.end({}, false)
    return answer
  }
  return { tracing, spans, names, named, within, start: startRequest }
}
