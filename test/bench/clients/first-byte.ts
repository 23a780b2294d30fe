/** One request for a blob over a connection that is kept, and the time to its first byte. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import type { File } from '../system/origin.ts'

/** Milliseconds from the request to the first byte of the body. @throws {Error} if the body is not the blob */
export const firstByteMs = async (
  agent: http.Agent,
  url: string,
  token: string,
  { digest }: Pick<File, 'digest'>,
): Promise<number> => {
  const { request } = agent instanceof https.Agent ? https : http
  const began = performance.now()
  const asked = request(url, { agent, headers: { authorization: `Bearer ${token}` } }).end()
  const [response] = (await once(asked, 'response')) as [http.IncomingMessage]
  const hash = createHash('sha256')
  let elapsed = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (elapsed === 0) elapsed = performance.now() - began
    hash.update(chunk)
  }
  const arrived = `sha256:${hash.digest('hex')}`
  if (arrived !== digest) throw new Error(`${url}: ${response.statusCode} ${arrived}`)
  return elapsed
}
