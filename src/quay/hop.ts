/**
 * One request to one origin, without redirects: bodies of blobs as a stream at a third of the library's price, everything else, and
 * whatever the stream does not read, through the library.
 */
import { LRUCache } from 'lru-cache'
import { errors } from 'undici'
import { unlessAborted } from '../concurrency/abortable.ts'
import type { Agents } from './agents.ts'
import { libraryBody, type Body } from './body.ts'
import { failureOf } from './failures.ts'
import { UnusualAnswer } from './stream/head.ts'
import type { Stream } from './stream/stream.ts'

export type UpstreamKind = 'manifest' | 'blob' | 'tags' | 'referrers'

export interface HopRequest {
  readonly method: 'GET' | 'HEAD'
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  readonly kind: UpstreamKind | 'robot'
}

/** An answer of one origin. */
export interface Hop {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Body
}

/** @throws {RegistryError} UNAVAILABLE */
export type Send = (url: URL, request: HopRequest) => Promise<Hop>

export interface SendOptions {
  readonly agents: Pick<Agents, 'of'>
  readonly stream: Pick<Stream, 'send'>
  /** For servers that say `100 Continue` unasked. */
  readonly interim: { readonly send: Send }
  readonly observe: (request: { kind: UpstreamKind | 'robot'; status: number | 'failed' }) => void
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

/** Who sends a blob in chunks does so with every blob: each is not to be asked for twice. */
const unusualForMs = 60_000
const maxUnusual = 1000

export const createSend = (options: SendOptions): Send => {
  const { agents, stream, interim, observe, now = () => performance.now() } = options
  const remembered = { max: maxUnusual, ttl: unusualForMs, ttlResolution: 0, perf: { now } }
  const unusual = new LRUCache<string, true>(remembered)
  const saysContinue = new LRUCache<string, true>(remembered)

  const byLibrary = async (url: URL, { method, headers, signal, kind }: HopRequest): Promise<Hop> => {
    const { origin, pathname, search } = url
    const wanted = { origin, path: pathname + search, method, headers, signal }
    // The library looks at the signal only once it has found a connection.
    const {
      statusCode,
      headers: fields,
      body,
    } = await unlessAborted(signal, agents.of(url, kind === 'blob').request(wanted), failureOf)
    return { statusCode, headers: fields, body: libraryBody(body, signal) }
  }

  const byEither = async (url: URL, request: HopRequest): Promise<Hop> => {
    try {
      if (!saysContinue.has(url.origin)) return await byLibrary(url, request)
    } catch (error) {
      if (!isContinue(error)) throw error
      saysContinue.set(url.origin, true)
    }
    return await interim.send(url, request)
  }

  const ask = async (url: URL, request: HopRequest): Promise<Hop> => {
    const { method, kind } = request
    if (method !== 'GET' || kind !== 'blob' || unusual.has(url.origin)) return await byEither(url, request)
    try {
      return await stream.send(url, request)
    } catch (error) {
      if (!(error instanceof UnusualAnswer)) throw error
      const hop = await byEither(url, request)
      // Attack: many a storage says no in chunks, to a range beyond the end for one, and sends its blobs with a length. Whoever
      // asks for such a range now and then would have all blobs at the library's price.
      if (hop.statusCode < 400) unusual.set(url.origin, true)
      return hop
    }
  }

  return async (url, request) => {
    const { kind } = request
    try {
      const hop = await ask(url, request)
      observe({ kind, status: hop.statusCode })
      return hop
    } catch (error) {
      observe({ kind, status: 'failed' })
      throw failureOf(error)
    }
  }
}

/** How the library says that the status of an answer was 100. */
const isContinue = (error: unknown): boolean =>
  error instanceof errors.SocketError && error.message === 'bad response'
