/**
 * Asks a running proxy for an explanation: GET /access with the login of the person. Only this server gets the login: a redirect is an
 * error.
 */
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { isIPv4 } from 'node:net'
import { getCACertificates } from 'node:tls'
import { parseAnswer } from '../oci/json-bounds.ts'
import type { Explanation } from './explanation.ts'
import { printableAscii } from '../oci/printable.ts'

export interface OnlineOptions {
  readonly server: URL
  /** PEM, in addition to the well-known authorities. */
  readonly ca?: string | undefined
  /** The value of the field Authorization. */
  readonly authorization: string
  /** The value of the field User-Agent. */
  readonly userAgent: string
  /** Milliseconds for the whole answer. */
  readonly timeoutMs?: number
}

export type Answer = Explanation & { readonly requestId: string }

/** Longer than the proxy takes: two deadlines of 4.5 s. */
const defaultTimeoutMs = 15_000
/** Bytes. An explanation has about one thousand. */
const maxAnswerBytes = 64 * 1024

/** @throws {Error} with the message of the proxy, or with the reason why it did not answer */
export const explainByProxy = async (image: string, options: OnlineOptions): Promise<Answer> => {
  const { server, timeoutMs = defaultTimeoutMs } = options
  if (server.protocol === 'http:' && !isLoopback(server.hostname))
    throw new Error(`${server.origin} is not https: others could read your token`)
  const url = new URL(`/access?${new URLSearchParams({ image }).toString()}`, server)
  const { status, body } = await get(url, options, AbortSignal.timeout(timeoutMs)).catch((error: unknown) => {
    const { name, message } = error as Error
    const isLate = name === 'AbortError' || name === 'TimeoutError'
    throw new Error(
      `${server.host} ${isLate ? `did not answer in ${timeoutMs / 1000} s` : `cannot be reached: ${message}`}`,
      {
        cause: error,
      },
    )
  })
  const answer = parse(body)
  if (status === 200 && isAnswer(answer)) return answer
  throw new Error(`${server.host}: ${messageIn(answer) ?? `it answered ${status}, not as a quay-proxy does`}`)
}

const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))

const get = async (
  url: URL,
  { ca, authorization, userAgent }: OnlineOptions,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: Buffer }> => {
  const headers = { authorization, accept: 'application/json', 'user-agent': userAgent }
  const trust = ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const sent =
    url.protocol === 'https:'
      ? httpsRequest(url, { headers, signal, ...trust, agent: false }, resolve)
      : httpRequest(url, { headers, signal, agent: false }, resolve)
  sent.on('error', reject)
  sent.end()
  const response = await promise
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > maxAnswerBytes) throw new Error('its answer is too long')
  }
  // A response to a request has a status.
  return { status: response.statusCode as number, body: Buffer.concat(chunks) }
}

const parse = (body: Buffer): unknown => {
  try {
    return printable(parseAnswer(body))
  } catch {
    return undefined
  }
}

/** Attack: a server that writes control characters into a terminal. */
const printable = (value: unknown): unknown => {
  if (typeof value === 'string') return printableAscii(value)
  if (Array.isArray(value)) return value.map(printable)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, printable(one)]))
}

type Fields = Readonly<Record<string, unknown>>

const isAnswer = (answer: unknown): answer is Answer => {
  const { pullSpec, access, reading, reviews, reason, next } = (answer ?? {}) as Fields
  return (
    [pullSpec, reason, next].every((text) => typeof text === 'string') &&
    ['allowed', 'denied', 'unknown'].includes(String(access)) &&
    typeof reading === 'object' &&
    reading !== null &&
    Array.isArray(reviews)
  )
}

const messageIn = (answer: unknown): string | undefined => {
  const { errors } = (answer ?? {}) as { readonly errors?: readonly Fields[] }
  const message = Array.isArray(errors) ? errors[0]?.['message'] : undefined
  return typeof message === 'string' ? message.slice(0, 2000) : undefined
}
