/**
 * Requests to a running service.
 */
import { commandUserAgent, mirrorUserAgent } from '../../config/version.ts'
import { parseAnswer } from '../../oci/json-bounds.ts'
import type { Explanation } from '../status/explanation.ts'
import { printable } from '../printable.ts'

const timeoutMs = 30_000
/** Characters of an answer that is not JSON. */
const longestText = 1000

/** By the command that sends it. */
const userAgents = {
  GET: commandUserAgent('explain', mirrorUserAgent),
  POST: commandUserAgent('sync', mirrorUserAgent),
} as const

/** @returns a sentence if the service refuses. @throws {Error} if it does not answer */
export const askService = async (
  url: URL,
  method: 'GET' | 'POST',
  target: string,
): Promise<Explanation | string> => {
  const path = `/api/v1/mirrors/${target.split('/').map(encodeURIComponent).join('/')}`
  const page = new URL(method === 'POST' ? `${path}/sync` : path, url)
  const response = await fetch(page, {
    method,
    headers: { 'user-agent': userAgents[method] },
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  }).catch((error: unknown) => {
    throw new Error(`the service at ${url.origin} does not answer: ${reasonOf(error as Error)}`, {
      cause: error,
    })
  })
  const body = Buffer.from(await response.arrayBuffer())
  if (response.ok) return parseAnswer(body) as Explanation
  const text = body.toString()
  return printable(text.slice(0, longestText).trim())
}

/** The message of fetch itself says nothing. */
const reasonOf = ({ message, cause }: Error): string => (cause instanceof Error ? cause.message : message)
