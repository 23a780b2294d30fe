/** An embedded quay.io and the CDN behind it, on two free ports of this machine. */
import { createCdn } from './cdn.ts'
import { Faults } from './faults.ts'
import type { CollationName } from './collation.ts'
import type { Content } from './descriptors.ts'
import type { FaultRule } from './faults.ts'
import { startOrigin } from './origin.ts'
import type { OriginOptions, RecordedRequest, TlsOptions } from './origin.ts'
import { createRateLimits } from './rate-limits.ts'
import { QuayPushes } from './pushes.ts'
import { answerRegistry } from './registry.ts'
import { RequestCounter } from './request-kinds.ts'
import type { RequestCounts } from './request-kinds.ts'
import { QuayStore } from './store.ts'
import type { MakeContent } from './store.ts'
import { QuayTokens } from './tokens.ts'
import type { Robot } from './tokens.ts'

export interface QuayOptions {
  /** Default: `openshift/ci`. */
  readonly repository?: string
  readonly robot: Robot
  /** A robot that pushes. Without one, every push is a 405. */
  readonly pusher?: Robot | undefined
  /** Life of a JWT. Default: 3600, as at quay.io. */
  readonly tokenLifetimeSeconds?: number
  /** The host name in both URLs. Default: `127.0.0.1`. Both servers listen on 127.0.0.1. */
  readonly host?: string
  /** Serves both origins over https. */
  readonly tls?: TlsOptions
  /** Milliseconds since 1970; the clock of JWTs and signed URLs. */
  readonly now?: () => number
  /** The order of tag lists. Default: `bytes`. */
  readonly collation?: CollationName
  /** Whether nginx in front of it limits requests as at quay.io: 429, HTML, no Retry-After. Default: false. */
  readonly limits?: boolean
  /** Referrers on one page, with a Link to the next. Default: all, as at quay. */
  readonly referrersPage?: number
  /** Whether `requests` holds each request. Default: true. False for tests with hundreds of thousands of them. */
  readonly keepRequests?: boolean
}

/** A running quay and the CDN behind it. */
export interface Quay {
  readonly url: string
  readonly cdnUrl: string
  readonly repository: string
  /** Every request to either origin, in the order of arrival. */
  readonly requests: readonly RecordedRequest[]
  /** The number of answered requests so far, by their kind. */
  readonly counts: RequestCounts
  /** The requests that sent a credential to the CDN. Each of them is a leak. */
  readonly leaks: readonly RecordedRequest[]
  /** Stores the image and points the tag at it. */
  tag(name: string, content: Content): void
  /** The same for many tags; a million are fine. */
  tagMany(names: Iterable<string>, content: Content): void
  /** The same, but each name has its own content, which is made when it is first requested. */
  tagLazily(names: Iterable<string>, make: MakeContent): void
  /** TAG_EXPIRED from now on. Throws if there is no such tag. */
  untag(name: string): void
  /** Stores without a tag: an artifact, or an image that is pulled by digest. */
  push(content: Content): void
  /** A rotation: the previous credentials are refused at once, but their JWTs are valid until they expire. */
  setRobot(robot: Robot, ...others: readonly Robot[]): void
  fault(rule: FaultRule): void
  clearFaults(): void
  /** Ends every socket. */
  close(): Promise<void>
}

const isLeak = ({ origin, headers }: RecordedRequest): boolean =>
  origin === 'cdn' && (headers.authorization !== undefined || headers.cookie !== undefined)

const robotsOf = ({ robot, pusher }: QuayOptions): readonly Robot[] =>
  pusher === undefined ? [robot] : [robot, pusher]

/** An embedded quay.io with one repository, on a free port, and its CDN on another. */
export const startQuay = async (options: QuayOptions): Promise<Quay> => {
  const { repository = 'openshift/ci', tokenLifetimeSeconds = 3600, now = Date.now } = options
  let robots: readonly Robot[] = robotsOf(options)
  const { requests, counter, common } = startRecording(options)
  const store = new QuayStore(options.collation)
  const { faults } = common
  const lifetimeSeconds = tokenLifetimeSeconds
  const tokens = new QuayTokens({ repository, lifetimeSeconds, now, robots: () => robots })
  const cdn = createCdn({ findBlob: (digest) => store.findBlob(digest), now })
  const storage = await startOrigin({ ...common, name: 'cdn', handle: (exchange) => cdn.handle(exchange) })
  const [namespace = '', name = ''] = repository.split('/')
  const signBlob = (digest: string, username: string): string =>
    cdn.sign(storage.url, digest, { username, namespace, repository: name })
  const limit = options.limits === true ? createRateLimits(now) : () => undefined
  const resources = { repository, store, tokens, signBlob, referrersPage: options.referrersPage ?? Infinity }
  const pushes = options.pusher && new QuayPushes(resources)
  const handle: OriginOptions['handle'] = async (exchange) =>
    limit(exchange) ?? (await pushes?.answer(exchange)) ?? (await answerRegistry(resources, exchange))
  const registry = await startOrigin({ ...common, name: 'quay', handle })
  return {
    url: registry.url,
    cdnUrl: storage.url,
    repository,
    requests,
    get counts() {
      return counter.counts
    },
    get leaks() {
      return requests.filter(isLeak)
    },
    tag: (tag, content) => store.tag([tag], content),
    tagMany: (tags, content) => store.tag(tags, content),
    tagLazily: (tags, make) => store.tagLazily(tags, make),
    untag: (tag) => store.untag(tag),
    push: (content) => store.push(content),
    setRobot: (...next) => void (robots = next),
    fault: (rule) => faults.add(rule),
    clearFaults: () => faults.clear(),
    close: async () => void (await Promise.all([registry.close(), storage.close()])),
  }
}

/** What both origins share: the recording of requests, and the faults. */
const startRecording = ({ host = '127.0.0.1', tls, keepRequests = true }: QuayOptions) => {
  const requests: RecordedRequest[] = []
  const counter = new RequestCounter()
  const onAnswer = (request: RecordedRequest): void => counter.count(request)
  const kept = keepRequests ? requests : undefined
  return { requests, counter, common: { host, tls, faults: new Faults(), onAnswer, requests: kept } }
}
