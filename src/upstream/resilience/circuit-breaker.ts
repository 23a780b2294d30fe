/**
 * What is in trouble is not asked by every request. One circuit for each path: what is broken by itself is refused by itself. And one for
 * upstream, or its storage: it opens for those who have trouble with everything they ask for. Whoever comes when a probe is due is that
 * probe, and gets its answer; the others fail at once, and are tried again by the stage around this one.
 */
import { LRUCache } from 'lru-cache'
import { unavailable } from '../../oci/errors.ts'
import {
  PoolExhausted,
  TransientObjectError,
  UpstreamRateLimited,
  TransientUpstreamError,
} from '../errors.ts'
import { Circuit, type CircuitOptions, type Outcome, type Pass } from './circuit.ts'
import type { SendUpstream, UpstreamRequest, UpstreamResponse } from '../request.ts'

/** It was not asked: it had too much trouble just now. Trying again at once is in vain. */
export class CircuitOpen extends TransientUpstreamError {}

/** What is not asked: upstream, or its storage, as a whole; or the one path. */
export type CircuitScope = 'upstream' | 'path'

export interface UpstreamCircuitOptions {
  readonly send: SendUpstream
  /** Called for each request that was not asked. */
  readonly observeRefused: (scope: CircuitScope) => void
  /** Milliseconds between two probes: so long a return goes unnoticed at most. */
  readonly retryMs?: number
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** On a bad day one request in ten has no answer: five of them in a row do once in a hundred thousand. */
const threshold = 5
/** What is broken upstream by itself is asked for again and again by those who want it. Of an upstream that is away everything is. */
const minPaths = 3
/** Fewer may have the same broken image in common, or be one person at several addresses. */
const minRequesters = 3
const defaultRetryMs = 1000
/** The first probe of a path comes soon, the later ones less and less often: in the 8 s that a request is tried for, twice at least. */
const longestPathRetryMs = 4000
/** Milliseconds for which upstream is not taken to be away, once it has been found to be well. */
const wellMs = 5000
/** About 1 kB each. What is forgotten is asked for again. */
const maxPathCircuits = 2048

export const withCircuitBreaker = (options: UpstreamCircuitOptions): SendUpstream => {
  const { send, observeRefused, retryMs = defaultRetryMs, now = () => performance.now() } = options
  const shared = { threshold, minRequesters, retryMs, now }
  const upstreamOptions = { ...shared, minPaths, maxRequesters: 1024, longestRetryMs: retryMs, wellMs }
  // Blobs come from a storage of their own, which may be away alone.
  const [blobs, others] = [new Circuit(upstreamOptions), new Circuit(upstreamOptions)]
  const paths = createPathCircuits({
    ...shared,
    minPaths: 1,
    maxRequesters: 16,
    retryMs: retryMs / 4,
    longestRetryMs: longestPathRetryMs,
    wellMs: 0,
  })
  const refuse = (scope: CircuitScope): CircuitOpen => {
    observeRefused(scope)
    const { message, headers } = unavailable(messages[scope], undefined, 2)
    return new CircuitOpen('UNAVAILABLE', message, { headers })
  }

  return async (request) => {
    const { requester, path } = request
    const upstream = request.kind === 'blob' ? blobs : others
    const own = paths.of(request)
    // Nobody waits for the background: it asks where all is well, and finds nothing out for others.
    if (isBackground(request) && upstream.isOpenFor(requester)) throw refuse('upstream')
    if (isBackground(request) && own.get()?.isOpenFor(requester) === true) throw refuse('path')
    const pass = upstream.enter(requester, path)
    if (pass === undefined) throw refuse('upstream')
    // Who finds out about upstream asks for what they came for.
    const ownPass = pass.turn === undefined ? own.enter() : own.skip()
    if (ownPass === undefined) throw refuse('path')
    const settle = (outcome: Outcome, isOfObject = false): void => {
      upstream.settle(pass, isOfObject ? 'error' : outcome)
      own.settle(ownPass, outcome)
    }
    let response: UpstreamResponse
    try {
      response = await send(request)
    } catch (error) {
      settle(outcomeOf(error, request), error instanceof TransientObjectError)
      throw error
    }
    settle('answered')
    return response
  }
}

const messages = {
  upstream: 'the upstream registry is unavailable; try again in a moment',
  path: 'the upstream registry fails on this one again and again; try again in a moment',
}

const isBackground = ({ priority }: UpstreamRequest): boolean => priority === 'background'

const outcomeOf = (error: unknown, request: UpstreamRequest): Outcome => {
  if (request.signal?.aborted === true || error instanceof PoolExhausted) return 'nothing'
  // A limit is an answer, and is seen to elsewhere.
  if (!(error instanceof TransientUpstreamError) || error instanceof UpstreamRateLimited) return 'error'
  return isBackground(request) ? 'nothing' : 'trouble'
}

/** Of what had trouble since it was last answered. */
const createPathCircuits = (options: CircuitOptions) => {
  const circuits = new LRUCache<string, Circuit>({ max: maxPathCircuits })
  return {
    of: ({ method, path, headers, requester }: UpstreamRequest) => {
      // Attack: parts of a blob that its storage does not hand out would keep others from the whole of it.
      const key = `${method} ${path}${headers['range'] === undefined ? '' : ' in part'}`
      const skip = (): Pass => ({ requester, path: key, began: options.now() })
      return {
        skip,
        get: () => circuits.get(key),
        enter: (): Pass | undefined => {
          const circuit = circuits.get(key)
          return circuit === undefined ? skip() : circuit.enter(requester, key)
        },
        settle: (pass: Pass, outcome: Outcome): void => {
          if (outcome === 'answered') circuits.delete(key)
          const known = circuits.get(key)
          if (known !== undefined || outcome !== 'trouble') return known?.settle(pass, outcome)
          const circuit = new Circuit(options)
          circuits.set(key, circuit)
          return circuit.settle(pass, outcome)
        },
      }
    },
  }
}
