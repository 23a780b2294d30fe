/**
 * The interface of tracing: a decorator of stages, which is applied where stages are composed. No stage knows whether it is traced.
 * OpenTelemetry implements this interface, and is loaded only if traces are on.
 */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

type Stage = (...args: never[]) => unknown

/** Runs work within a span, and ends the span with the work. */
export type Lasting = <Answer>(work: () => Promise<Answer>) => Promise<Answer>

export interface StageOptions<Run extends Stage> {
  /** It sends a request to another program. */
  readonly isClient?: boolean
  readonly requestAttributes?: (...args: Parameters<Run>) => Attributes
  readonly answerAttributes?: (answer: Awaited<ReturnType<Run>>) => Attributes
  /**
   * For a stage that works on after its answer, such as a blob whose body is still read.
   * @returns the same answer to end the span now; another one, which calls `lasting`, to end the span later
   */
  readonly prolong?: (answer: Awaited<ReturnType<Run>>, lasting: Lasting) => Awaited<ReturnType<Run>>
}

/** The span of a request of a client. */
export interface RequestSpan {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** Stages that `work` calls, at once or later, become children of the span. */
  readonly run: (work: () => void) => void
  /** To be called once. Stages that start later have no span. */
  readonly end: (attributes: Attributes, isFailed: boolean) => void
}

export interface RequestSpanOptions {
  readonly name: string
  /** The header field of the client; an invalid one is ignored. */
  readonly traceparent: string | undefined
  /** Whose share of the traced requests it takes. */
  readonly network: string
}

export interface Tracing {
  /** The same function, with a span for each call within a traced request. */
  readonly stage: <Run extends Stage>(
    name: string | ((...args: Parameters<Run>) => string),
    run: Run,
    options?: StageOptions<Run>,
  ) => Run
  /** Adds attributes to the span of the innermost stage that is running. */
  readonly annotate: (attributes: Attributes) => void
  /** Header fields of W3C Trace Context for a request within a span. Never for a server of somebody else: see docs/operations.md. */
  readonly outgoing: () => Readonly<Record<string, string>>
  /** Undefined for a request that is not sampled. */
  readonly startRequest: (options: RequestSpanOptions) => RequestSpan | undefined
  /** Sends what is left, for 2 s at most. Never rejects. */
  readonly close: () => Promise<void>
}

const noFields = {}

/** Traces are off: every stage is its undecorated self. */
export const noTracing: Tracing = {
  stage: (_name, run) => run,
  annotate: () => undefined,
  outgoing: () => noFields,
  startRequest: () => undefined,
  close: async () => await Promise.resolve(),
}
