/**
 * The spans of requests and stages, with the tracer of OpenTelemetry.
 *
 * The current span is in an AsyncLocalStorage. The alternative is a field in every request type, which each cache, queue and review would
 * have to pass on, so that all of them would depend on tracing. In Node.js 24 and later this storage uses no async hooks, but a pointer
 * that V8 keeps with each promise anyway. It is created only if traces are on, and entered only for requests that are sampled.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  defaultTextMapGetter,
  defaultTextMapSetter,
  trace,
  type Context,
  type Span,
  type Tracer,
} from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { withNetwork } from './sampling.ts'
import type { Attributes, RequestSpan, RequestSpanOptions, StageOptions, Tracing } from './tracing.ts'

interface Running {
  readonly span: Span
  /** With the span in it. */
  readonly context: Context
  /** The span of the whole request. Background work that began in a request does not belong to its trace. */
  readonly request: { isOver: boolean }
}

type AnyStage = (...args: unknown[]) => unknown

export class StageSpans implements Omit<Tracing, 'close'> {
  readonly #tracer: Tracer
  readonly #propagator = new W3CTraceContextPropagator()
  readonly #current = new AsyncLocalStorage<Running>()

  constructor(tracer: Tracer) {
    this.#tracer = tracer
  }

  readonly startRequest = ({ name, traceparent, network }: RequestSpanOptions): RequestSpan | undefined => {
    // Without `tracestate` and `baggage`: no part of the proxy needs them, and they would pass on text of the client.
    const parent = this.#propagator.extract(ROOT_CONTEXT, { traceparent }, defaultTextMapGetter)
    const span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER }, withNetwork(parent, network))
    if (!span.isRecording()) return undefined
    const running = { span, context: trace.setSpan(ROOT_CONTEXT, span), request: { isOver: false } }
    return {
      traceId: span.spanContext().traceId,
      run: (work) => this.#current.run(running, work),
      end: (attributes, isFailed) => {
        running.request.isOver = true
        span.setAttributes(attributes)
        if (isFailed) span.setStatus({ code: SpanStatusCode.ERROR })
        span.end()
      },
    }
  }

  readonly stage: Tracing['stage'] = (name, run, options = {}) => {
    type Run = typeof run
    const traced = (...args: Parameters<Run>): unknown => {
      const parent = this.#current.getStore()
      if (parent === undefined || parent.request.isOver) return run(...args)
      const running = this.#start(typeof name === 'string' ? name : name(...args), parent, {
        kind: options.isClient === true ? SpanKind.CLIENT : SpanKind.INTERNAL,
        attributes: options.requestAttributes?.(...args) ?? {},
      })
      return this.#runWithin(running, () => run(...args), options as StageOptions<AnyStage>)
    }
    return traced as Run
  }

  readonly annotate = (attributes: Attributes): void => {
    this.#current.getStore()?.span.setAttributes(attributes)
  }

  readonly outgoing = (): Readonly<Record<string, string>> => {
    const fields: Record<string, string> = {}
    const running = this.#current.getStore()
    if (running !== undefined) this.#propagator.inject(running.context, fields, defaultTextMapSetter)
    return fields
  }

  #start(
    name: string,
    { context, request }: Running,
    options: { kind: SpanKind; attributes: Attributes },
  ): Running {
    const span = this.#tracer.startSpan(name, options, context)
    return { span, context: trace.setSpan(context, span), request }
  }

  #runWithin(running: Running, run: () => unknown, options: StageOptions<AnyStage>): unknown {
    let answer: unknown
    try {
      answer = this.#current.run(running, run)
    } catch (error) {
      endFailed(running.span, error)
      throw error
    }
    if (answer instanceof Promise) return this.#settled(running, answer as Promise<unknown>, options)
    endWith(running.span, options.answerAttributes?.(answer))
    return answer
  }

  async #settled(
    running: Running,
    answering: Promise<unknown>,
    { answerAttributes, prolong }: StageOptions<AnyStage>,
  ): Promise<unknown> {
    const answer = await endIfFailed(running.span, answering)
    const prolonged = prolong?.(answer, async (work) => {
      const result = await endIfFailed(running.span, this.#current.run(running, work))
      endWith(running.span)
      return result
    })
    running.span.setAttributes(answerAttributes?.(answer) ?? {})
    if (prolonged === undefined || prolonged === answer) endWith(running.span)
    return prolonged ?? answer
  }
}

const endWith = (span: Span, attributes: Attributes = {}): void => {
  span.setAttributes(attributes)
  span.end()
}

const endIfFailed = async <Answer>(span: Span, answering: Promise<Answer>): Promise<Answer> => {
  try {
    return await answering
  } catch (error) {
    endFailed(span, error)
    throw error
  }
}

/** The kind of the error only: its message may quote what another server sent. An answer such as 404 is an error of the client alone. */
const endFailed = (span: Span, error: unknown): void => {
  const { code, status, name } = error as { code?: unknown; status?: unknown; name?: unknown }
  span.setAttribute('error.type', String(code ?? name))
  if (typeof status !== 'number' || status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
  span.end()
}
