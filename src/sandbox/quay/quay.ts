import { createCdn } from './cdn.ts'
import { Faults } from './faults.ts'
import type { FaultRule } from './faults.ts'
import type { Content } from './images.ts'
import { startOrigin } from './origin.ts'
import type { OriginOptions, RecordedRequest, TlsOptions } from './origin.ts'
import { answerRegistry } from './registry.ts'
import { QuayStore } from './store.ts'
import { QuayTokens } from './tokens.ts'
import type { Robot } from './tokens.ts'

export interface QuayOptions {
  /** `openshift/ci` unless given. */
  readonly repository?: string
  readonly robot: Robot
  /** Life of a JWT; 3600 as at quay.io unless given. */
  readonly tokenLifetimeSeconds?: number
  /** The host name in both URLs, `127.0.0.1` unless given; both servers listen on 127.0.0.1. */
  readonly host?: string
  /** Serves both origins over https. */
  readonly tls?: TlsOptions
  /** Milliseconds since 1970; the clock of JWTs and signed URLs. */
  readonly now?: () => number
}

/** A running quay and the CDN behind it. */
export interface Quay {
  readonly url: string
  readonly cdnUrl: string
  readonly repository: string
  /** Every request to either origin, in the order of arrival. */
  readonly requests: readonly RecordedRequest[]
  /** The requests that brought a credential to the CDN; anything in here is a leak. */
  readonly leaks: readonly RecordedRequest[]
  /** Stores the image and points the tag at it. */
  tag(name: string, content: Content): void
  /** The same for many tags; 200,000 are fine. */
  tagMany(names: Iterable<string>, content: Content): void
  /** TAG_EXPIRED from now on. Throws if there is no such tag. */
  untag(name: string): void
  /** Stores without a tag: an artifact, or an image that is pulled by digest. */
  push(content: Content): void
  /** Rotation: the credentials before are refused at once, JWTs they got live on until they expire. */
  setRobot(robot: Robot, ...others: readonly Robot[]): void
  fault(rule: FaultRule): void
  clearFaults(): void
  /** Ends every socket. */
  close(): Promise<void>
}

function isLeak({ origin, headers }: RecordedRequest): boolean {
  return origin === 'cdn' && (headers.authorization !== undefined || headers.cookie !== undefined)
}

/** An embedded quay.io with one repository, on a free port, and its CDN on another. */
export async function startQuay(options: QuayOptions): Promise<Quay> {
  const { repository = 'openshift/ci', tokenLifetimeSeconds = 3600, now = Date.now } = options
  let robots: readonly Robot[] = [options.robot]
  const requests: RecordedRequest[] = []
  const store = new QuayStore()
  const faults = new Faults()
  const tokens = new QuayTokens({
    repository,
    lifetimeSeconds: tokenLifetimeSeconds,
    now,
    robots: () => robots,
  })
  const cdn = createCdn({ findBlob: (digest) => store.findBlob(digest), now })
  const common = { host: options.host ?? '127.0.0.1', tls: options.tls, faults, requests }
  const storage = await startOrigin({ ...common, name: 'cdn', handle: (exchange) => cdn.handle(exchange) })
  const [namespace = '', name = ''] = repository.split('/')
  const signBlob = (digest: string, username: string): string =>
    cdn.sign(storage.url, digest, { username, namespace, repository: name })
  const handle: OriginOptions['handle'] = (exchange) =>
    answerRegistry({ repository, store, tokens, signBlob }, exchange)
  const registry = await startOrigin({ ...common, name: 'quay', handle })

  return {
    url: registry.url,
    cdnUrl: storage.url,
    repository,
    requests,
    get leaks() {
      return requests.filter(isLeak)
    },
    tag: (tag, content) => store.tag([tag], content),
    tagMany: (tags, content) => store.tag(tags, content),
    untag: (tag) => store.untag(tag),
    push: (content) => store.push(content),
    setRobot: (...next) => void (robots = next),
    fault: (rule) => faults.add(rule),
    clearFaults: () => faults.clear(),
    close: async () => void (await Promise.all([registry.close(), storage.close()])),
  }
}
