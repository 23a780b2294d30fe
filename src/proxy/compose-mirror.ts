/**
 * Composes the access to the mirror: its queue at `/mirrors`, its row in explanations, and its state on the page.
 */
import type { PathReviews } from '../access/reviews.ts'
import type { Config } from '../config/config.ts'
import { userAgent } from '../config/version.ts'
import { createDescribeImage, type DescribeImage } from '../page/mirror-queue/describe-image.ts'
import { MirrorOrigin, type MirrorExchange } from '../page/mirror-queue/mirror-origin.ts'
import { createMirrorRights, type MirrorRights } from '../page/mirror-queue/mirror-rights.ts'
import { MirrorState } from '../page/mirror-queue/mirror-state.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createMirrorMetrics } from '../telemetry/mirror-metrics.ts'
import type { Tracing } from '../tracing/tracing.ts'

export interface ComposedMirror {
  readonly mirror: MirrorOrigin
  readonly rights: MirrorRights
  readonly describeImage: DescribeImage
  readonly state: MirrorState
}

export interface ComposeMirrorOptions {
  readonly config: Pick<Config, 'mirrorUrl'>
  readonly reviews: PathReviews
  readonly metrics: Pick<Metrics, 'registry'>
  readonly tracing: Tracing
}

/** Undefined without `--mirror-url`. */
export const composeMirror = ({
  config: { mirrorUrl },
  reviews,
  metrics,
  tracing,
}: ComposeMirrorOptions): ComposedMirror | undefined => {
  if (mirrorUrl === undefined) return undefined
  const { requests } = createMirrorMetrics(metrics.registry)
  const mirror = new MirrorOrigin({
    url: mirrorUrl,
    userAgent,
    observe: (method, outcome) => requests.inc({ method, outcome }),
    traced: (exchange) => tracedExchange(exchange, mirrorUrl, tracing),
  })
  const { require } = createMirrorRights(reviews)
  const rights = { require: tracing.stage('authorization', require) }
  return {
    mirror,
    rights,
    describeImage: createDescribeImage({ mirror, rights }),
    state: new MirrorState(mirror),
  }
}

const tracedExchange = (exchange: MirrorExchange, { hostname }: URL, { stage }: Tracing): MirrorExchange =>
  stage((method) => method, exchange, {
    isClient: true,
    requestAttributes: (method) => ({
      'http.request.method': method,
      'server.address': hostname,
      'quay_proxy.request.kind': 'mirror',
    }),
    answerAttributes: ({ status }) => ({ 'http.response.status_code': status }),
  })
