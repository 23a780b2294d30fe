/**
 * A round trip with a span. The span does not have the URL, because the query of a signed URL opens the blob.
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span
 */
import type { StageOptions, Tracing } from '../../tracing/tracing.ts'
import type { RoundTrip } from './round-trip.ts'

const options: StageOptions<RoundTrip> = {
  isClient: true,
  requestAttributes: (url, { method, kind }) => ({
    'http.request.method': method,
    'server.address': url.hostname,
    'server.port': Number(url.port || (url.protocol === 'http:' ? 80 : 443)),
    'quay_proxy.request.kind': kind,
  }),
  answerAttributes: ({ statusCode }) => ({ 'http.response.status_code': statusCode }),
}

export const tracedRoundTrip = ({ stage }: Pick<Tracing, 'stage'>, roundTrip: RoundTrip): RoundTrip =>
  stage((_url, { method }) => method, roundTrip, options)
