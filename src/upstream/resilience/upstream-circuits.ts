/**
 * The circuit breaker of upstream. Each path has a circuit, so that one broken image is refused alone. Upstream and its storage have one
 * each, which opens for requesters whose requests all fail. A request that comes when a probe is due is sent as that probe. The others
 * fail at once, and the stage around this one retries them.
 */
import { createBoundedCache } from '../../concurrency/bounded-cache.ts'
import { unavailable } from '../../oci/errors.ts'
import {
  PoolExhausted,
  TransientObjectError,
  UpstreamRateLimited,
  TransientUpstreamError,
} from '../errors.ts'
import { Circuit, type CircuitOptions, type Outcome, type Pass } from './circuit.ts'
import type { SendUpstream, UpstreamRequest, UpstreamResponse } from '../request.ts'

/** The request was not sent: too many failed just now. A retry at once would fail, too. */
export class CircuitOpen extends TransientUpstreamError {}

/** What the open circuit is for: upstream, or its storage, as a whole; or one path. */
export type CircuitScope = 'upstream' | 'path'

export interface UpstreamCircuitOptions {
  readonly send: SendUpstream
  /** Called for each request that is not sent. */
  readonly observeRefused: (scope: CircuitScope) => void
  /** Milliseconds between two probes: the longest time until a recovery is noticed. */
  readonly retryMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** If one request in ten fails by chance, five in a row do once in a hundred thousand. */
const threshold = 5
/** Clients request one broken image again and again. If upstream itself is down, every path fails. */
const minPaths = 3
/** Fewer could pull the same broken image, or be one person at several addresses. */
const minRequesters = 3
const defaultRetryMs = 1000
/** The first probe of a path comes soon, later ones less and less often. Within the 8 s of retries there are at least two. */
const longestPathRetryMs = 4000
/** Milliseconds for which the circuit stays closed after a success has closed it. */
const wellMs = 5000
/** About 1 kB each. A path that is evicted is requested again. */
const maxPathCircuits = 2048

export const withCircuitBreaker = (options: UpstreamCircuitOptions): SendUpstream => {
  const breaker = new UpstreamCircuitBreaker(options)
  return async (request) => await breaker.run(request)
}

/** The permissions of one request: of the circuit of upstream, and of that of its path. */
interface Passes {
  readonly circuit: Circuit
  readonly pass: Pass
  readonly pathPass: Pass
}

class UpstreamCircuitBreaker {
  readonly #options: UpstreamCircuitOptions
  /** Blobs come from a storage of their own, which can fail alone. */
  readonly #blobs: Circuit
  readonly #others: Circuit
  readonly #paths: PathCircuits

  constructor(options: UpstreamCircuitOptions) {
    const { retryMs = defaultRetryMs, now = () => performance.now() } = options
    const shared = { threshold, minRequesters, retryMs, now }
    const ofUpstream = { ...shared, minPaths, maxRequesters: 1024, longestRetryMs: retryMs, wellMs }
    this.#options = options
    this.#blobs = new Circuit(ofUpstream)
    this.#others = new Circuit(ofUpstream)
    this.#paths = new PathCircuits({
      ...shared,
      minPaths: 1,
      maxRequesters: 16,
      retryMs: retryMs / 4,
      longestRetryMs: longestPathRetryMs,
      wellMs: 0,
    })
  }

  async run(request: UpstreamRequest): Promise<UpstreamResponse> {
    const passes = this.#enter(request)
    let response: UpstreamResponse
    try {
      response = await this.#options.send(request)
    } catch (error) {
      this.#settle(passes, outcomeOf(error, request), error instanceof TransientObjectError)
      throw error
    }
    this.#settle(passes, 'answered')
    return response
  }

  /** @throws {CircuitOpen} */
  #enter(request: UpstreamRequest): Passes {
    const { requester, path } = request
    const circuit = request.kind === 'blob' ? this.#blobs : this.#others
    // No user waits for a background request: it is never a probe.
    if (isBackground(request)) {
      if (circuit.isOpenFor(requester)) throw this.#refuse('upstream')
      if (this.#paths.isOpenFor(request)) throw this.#refuse('path')
    }
    const pass = circuit.enter(requester, path)
    if (pass === undefined) throw this.#refuse('upstream')
    // A probe of upstream is sent whatever the state of its path.
    const pathPass =
      pass.turn === undefined ? this.#paths.enter(request) : this.#paths.passOf(request, keyOf(request))
    if (pathPass === undefined) throw this.#refuse('path')
    return { circuit, pass, pathPass }
  }

  #settle({ circuit, pass, pathPass }: Passes, outcome: Outcome, isOfObject = false): void {
    circuit.settle(pass, isOfObject ? 'error' : outcome)
    this.#paths.settle(pathPass, outcome)
  }

  #refuse(scope: CircuitScope): CircuitOpen {
    this.#options.observeRefused(scope)
    const { message, headers } = unavailable(messages[scope], undefined, 2)
    return new CircuitOpen('UNAVAILABLE', message, { headers })
  }
}

const messages = {
  upstream: 'the upstream registry is unavailable; try again in a moment',
  path: 'the upstream registry fails on this one again and again; try again in a moment',
}

const isBackground = ({ priority }: UpstreamRequest): boolean => priority === 'background'

const outcomeOf = (error: unknown, request: UpstreamRequest): Outcome => {
  if (request.signal?.aborted === true || error instanceof PoolExhausted) return 'neutral'
  // A rate limit is an answer. rate-limit/ handles it.
  if (!(error instanceof TransientUpstreamError) || error instanceof UpstreamRateLimited) return 'error'
  return isBackground(request) ? 'neutral' : 'failure'
}

/** The circuits of paths that failed since their last success. */
class PathCircuits {
  readonly #options: CircuitOptions
  readonly #circuits = createBoundedCache<string, Circuit>(maxPathCircuits)

  constructor(options: CircuitOptions) {
    this.#options = options
  }

  isOpenFor(request: UpstreamRequest): boolean {
    return this.#circuits.get(keyOf(request))?.isOpenFor(request.requester) === true
  }

  enter(request: UpstreamRequest): Pass | undefined {
    const key = keyOf(request)
    const circuit = this.#circuits.get(key)
    return circuit === undefined ? this.passOf(request, key) : circuit.enter(request.requester, key)
  }

  passOf({ requester }: UpstreamRequest, path: string): Pass {
    return { requester, path, began: this.#options.now() }
  }

  settle(pass: Pass, outcome: Outcome): void {
    if (outcome === 'answered') this.#circuits.delete(pass.path)
    const known = this.#circuits.get(pass.path)
    if (known !== undefined || outcome !== 'failure') return known?.settle(pass, outcome)
    const circuit = new Circuit(this.#options)
    this.#circuits.set(pass.path, circuit)
    return circuit.settle(pass, outcome)
  }
}

/** Attack: ranges of a blob that its storage refuses would keep others from the whole blob. */
const keyOf = ({ method, path, headers }: UpstreamRequest): string =>
  `${method} ${path}${headers['range'] === undefined ? '' : ' in part'}`
