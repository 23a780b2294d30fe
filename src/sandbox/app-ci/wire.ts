/** Requests and answers of the sandbox's API server as they go over the wire, and faults in them. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from './reviews.ts'
import { failure } from './reviews.ts'

/** The failure of every request from now on; `none` ends it. */
export type Fault =
  | { readonly kind: 'none' }
  /** A Status with this code. Default: 503. */
  | { readonly kind: 'status'; readonly status?: number; readonly retryAfterSeconds?: number }
  | { readonly kind: 'slow'; readonly delayMs: number }
  | { readonly kind: 'hang' }
  | { readonly kind: 'reset' }

// The kube-apiserver's own bound on a request body.
const maxBodyBytes = 3 * 1024 * 1024

const statusReasons: Readonly<Record<number, string>> = {
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
}

export const tooLarge = (): Answer =>
  failure(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${maxBodyBytes}`)

/** The whole body; undefined if it is longer than the API server accepts. */
export const readBody = async (request: IncomingMessage): Promise<string | undefined> => {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length <= maxBodyBytes) chunks.push(chunk)
  }
  return length <= maxBodyBytes ? Buffer.concat(chunks).toString('utf8') : undefined
}

export const sendFault = (response: ServerResponse, fault: Fault & { readonly kind: 'status' }): void => {
  const { status = 503, retryAfterSeconds } = fault
  if (retryAfterSeconds !== undefined) response.setHeader('Retry-After', String(retryAfterSeconds))
  send(response, failure(status, statusReasons[status] ?? 'Unknown', 'the sandbox was told to fail'))
}

export const send = (response: ServerResponse, { status, body }: Answer): void => {
  const isText = typeof body === 'string'
  response.writeHead(status, { 'Content-Type': isText ? 'text/plain; charset=utf-8' : 'application/json' })
  response.end(isText ? body : JSON.stringify(body))
}
