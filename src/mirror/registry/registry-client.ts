/**
 * Requests to one registry: they share a rate limit, are retried if that is safe, and carry the token of their scopes.
 */
import { backoffMs } from '../../concurrency/backoff.ts'
import { systemClock, type Clock } from '../../concurrency/clock.ts'
import { OneAtATime } from '../../concurrency/one-at-a-time.ts'
import type { RobotCredential } from '../../secrets/robot-credential.ts'
import { single } from '../../upstream/client/response-fields.ts'
import { secondsOf } from '../../upstream/errors.ts'
import { createLimiter, type Limiter } from '../../upstream/rate-limit/limiter.ts'
import { discard, readBody } from './body.ts'
import { RegistryFailure } from './failure.ts'
import type { RegistryClientOptions, RegistryRequest } from './registry-client-options.ts'
import { RegistryConnection, type RegistryReply } from './registry-connection.ts'
import { Tokens } from './tokens.ts'
import { checkPermit, whileHeld } from './write-permit.ts'

const backoff = { firstMs: 100, longestMs: 5000 }
const maxTokenBytes = 64 * 1024
/** The longest wait of a request for its turn, in milliseconds: longer than any pause after a 429. */
const maxQueueMs = 600_000

export class RegistryClient {
  readonly origin: URL
  /** Of two simultaneous PUTs of one manifest, quay sometimes refuses one. */
  readonly puts = new OneAtATime()
  readonly #options: RegistryClientOptions
  readonly #connection: RegistryConnection
  readonly #limiter: Limiter
  /** By the user name of the robot; an empty name for anonymous requests. */
  readonly #tokens = new Map<string, Tokens>()
  readonly #clock: Clock

  constructor(options: RegistryClientOptions) {
    const { origin, rate, maxInFlight = 16, maxWaiting = 100_000, clock = systemClock, ca } = options
    this.origin = origin
    this.#options = options
    this.#clock = clock
    this.#connection = new RegistryConnection({ origin, maxConnections: maxInFlight, ca })
    const bounds = { maxInFlight, maxPerRequester: maxWaiting, maxQueued: maxWaiting }
    this.#limiter = createLimiter({ rate, ...bounds, clock, observeRefused: () => undefined })
  }

  /** Any status but 401, 429 and 5xx is an answer. @throws {RegistryFailure} @throws {PermitLost} */
  async send(request: RegistryRequest): Promise<RegistryReply> {
    return await this.#try(request, 0)
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  async #try(request: RegistryRequest, failures: number): Promise<RegistryReply> {
    try {
      return await this.#sendAuthorized(request, false)
    } catch (error) {
      if (!(error instanceof RegistryFailure) || !this.#mayRepeat(request, error, failures)) throw error
      // A 429 pauses all requests to the registry; see below.
      if (error.kind === 'transient') await this.#pause(backoffMs(failures, backoff, this.#options.random))
    }
    return await this.#try(request, failures + 1)
  }

  #mayRepeat(
    { isRepeatable, signal }: RegistryRequest,
    { kind }: RegistryFailure,
    failures: number,
  ): boolean {
    const { maxTries = 5 } = this.#options
    if (failures + 1 >= maxTries || signal?.aborted === true) return false
    return isRepeatable && (kind === 'limited' || kind === 'transient')
  }

  async #pause(ms: number): Promise<void> {
    const over = Promise.withResolvers<void>()
    this.#clock.after(ms, over.resolve)
    await over.promise
  }

  /** At most twice: the token may have expired, or the first request had none. */
  async #sendAuthorized(request: RegistryRequest, isSecond: boolean): Promise<RegistryReply> {
    const tokens = this.#tokensOf(request.repository)
    const authorization = await tokens.authorization(request.scopes)
    const reply = await this.#sendPaced(request, authorization)
    if (reply.status !== 401) return reply
    await discard(reply.body)
    const challenge = single(reply.headers['www-authenticate'])
    const canLogIn = tokens.challenged(challenge, request.scopes, authorization)
    if (canLogIn && !isSecond) return await this.#sendAuthorized(request, true)
    throw new RegistryFailure(
      'refused',
      `${this.origin.host} refuses ${request.method} ${request.scopes.join(' ')}: 401`,
    )
  }

  #tokensOf(repository: string): Tokens {
    const credential = this.#credentialOf(repository)
    const name = credential?.username ?? ''
    const existing = this.#tokens.get(name)
    if (existing !== undefined) return existing
    const tokens = new Tokens({
      origin: this.origin,
      credential,
      now: Date.now,
      get: async (url, authorization) => await this.#get(url, authorization),
    })
    this.#tokens.set(name, tokens)
    return tokens
  }

  #credentialOf(repository: string): RobotCredential | undefined {
    try {
      return this.#options.credentialOf?.(repository)
    } catch (error) {
      // Other repositories may have other robots.
      throw new RegistryFailure(
        'refused',
        `the auth file is of no use for ${this.origin.host}/${repository}: ${(error as Error).message}`,
        error,
      )
    }
  }

  async #turn({ image, signal, priority }: RegistryRequest): Promise<void> {
    try {
      const until = this.#clock.now() + maxQueueMs
      await this.#limiter.acquire({ requester: image, until, signal, priority })
    } catch (error) {
      throw new RegistryFailure('limited', `too many requests wait for ${this.origin.host}`, error)
    }
  }

  async #sendPaced(request: RegistryRequest, authorization: string | undefined): Promise<RegistryReply> {
    await this.#turn(request)
    const began = this.#clock.now()
    try {
      const isReading = request.method === 'GET' || request.method === 'HEAD'
      const reply = isReading
        ? await this.#connection.send(request, authorization)
        : await this.#write(request, authorization)
      if (reply.status !== 429) this.#limiter.onSuccess(began)
      else this.#limited(began, reply.headers)
      return await this.#checked(request, reply)
    } finally {
      this.#limiter.release(request.priority)
    }
  }

  async #write(request: RegistryRequest, authorization: string | undefined): Promise<RegistryReply> {
    const { permit } = this.#options
    checkPermit(permit)
    using held = whileHeld(permit, this.#clock)
    const signal = request.signal === undefined ? held.signal : AbortSignal.any([request.signal, held.signal])
    return await this.#connection.send({ ...request, signal, permit }, authorization)
  }

  #limited(began: number, headers: RegistryReply['headers']): void {
    const ms = this.#limiter.on429(began, secondsOf(single(headers['retry-after'])))
    this.#options.observePause?.(ms)
  }

  async #checked({ method }: RegistryRequest, reply: RegistryReply): Promise<RegistryReply> {
    const { status } = reply
    if (status !== 429 && status < 500) return reply
    await discard(reply.body)
    throw status === 429
      ? new RegistryFailure('limited', `${this.origin.host} limits requests: 429`)
      : new RegistryFailure('transient', `${this.origin.host} answered ${status} to ${method}`)
  }

  async #get(
    url: URL,
    authorization: string | undefined,
  ): Promise<{ readonly status: number; readonly body: string }> {
    // The realm has its own rate limit, and may be on another origin. While it answers 429, no request can succeed.
    const began = this.#clock.now()
    const { status, headers, body } = await this.#connection.sendOnce(
      url,
      { method: 'GET', url },
      authorization,
    )
    if (status === 429) this.#limited(began, headers)
    try {
      return { status, body: (await readBody(body, maxTokenBytes)).toString() }
    } catch (error) {
      throw new RegistryFailure('transient', `${url.host} breaks off its answer to a login`, error)
    }
  }
}
