/**
 * A collector of traces: OTLP over HTTP as JSON, as OpenTelemetry defines it. It answers 400 to everything else, so that a wrong export
 * fails the test that waits for its spans.
 * @see https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { Test } from 'tap'

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  /** 1: internal, 2: server, 3: client. */
  readonly kind: number
  readonly status: { readonly code?: number }
  readonly attributes: Readonly<Record<string, unknown>>
  readonly resource: Readonly<Record<string, unknown>>
}

export interface OtlpReceiver {
  readonly url: string
  /** In the order of their arrival. */
  readonly spans: readonly ReceivedSpan[]
  /** Paths and bodies, to search them. */
  readonly requests: readonly string[]
  /** The next answers; 200 unless set. */
  status: number
}

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}
interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<ReceivedSpan, 'attributes' | 'resource'> & {
        readonly attributes: readonly Attribute[]
      })[]
    }[]
  }[]
}

export const startOtlpReceiver = async (test: Test): Promise<OtlpReceiver> => {
  const spans: ReceivedSpan[] = []
  const requests: string[] = []
  const server = createServer((request, response) => {
    const answer = async () => {
      const body = await json(request)
      requests.push(`${request.method} ${request.url} ${JSON.stringify(body)}`)
      const isExport = request.method === 'POST' && request.url === '/v1/traces'
      if (isExport && receiver.status === 200) spans.push(...spansOf(body as ExportRequest))
      response.writeHead(isExport ? receiver.status : 400, { 'content-type': 'application/json' }).end('{}')
    }
    void answer()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  test.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const receiver: OtlpReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    requests,
    status: 200,
  }
  return receiver
}

const spansOf = ({ resourceSpans }: ExportRequest): ReceivedSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        ...span,
        attributes: recordOf(span.attributes),
        resource: recordOf(resource.attributes),
      })),
    ),
  )

/** `{ stringValue: 'a' }` -> `a` */
const recordOf = (attributes: readonly Attribute[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

/** A span with its children, in the order of their start: `['a', ['b'], ['c', ['d']]]`. */
export type SpanTree = readonly [name: string, ...children: SpanTree[]]

export const treeOf = (spans: readonly ReceivedSpan[], root: ReceivedSpan): SpanTree => [
  root.name,
  ...spans
    .filter(({ traceId, parentSpanId }) => traceId === root.traceId && parentSpanId === root.spanId)
    .map((child) => treeOf(spans, child)),
]
