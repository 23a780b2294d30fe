/**
 * A client for servers that send an unrequested `100 Continue`. undici takes it for a broken response; RFC 9110 section 15.2 says that a
 * client must skip it. It uses Node's own client and a new connection for each request: such servers are few and old.
 */
import { Agent as HttpAgent, request as requestHttp, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { rootCertificates } from 'node:tls'
import { maxHeadBytes, type Agents, type AgentsOptions } from './agents.ts'
import { readableBody } from './body.ts'
import type { UpstreamReply, RoundTripRequest } from './round-trip.ts'

export interface InterimClient {
  /** @throws the error of the connection; a `TimeoutError` */
  readonly send: (url: URL, request: RoundTripRequest) => Promise<UpstreamReply>
  readonly close: () => void
}

export type InterimClientOptions = Pick<AgentsOptions, 'ca' | 'maxConnections' | 'timeouts'> &
  Pick<Agents, 'lookupOf'>

export const createInterimClient = (options: InterimClientOptions): InterimClient => {
  const { ca, maxConnections: maxSockets, timeouts, lookupOf } = options
  const trusted = ca === undefined ? {} : { ca: [...rootCertificates, ca] }
  const plain = new HttpAgent({ maxSockets })
  const secure = new HttpsAgent({ maxSockets, ...trusted })

  const send = async (url: URL, { method, headers, signal }: RoundTripRequest): Promise<UpstreamReply> => {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const shared = { method, headers, signal, maxHeaderSize: maxHeadBytes, lookup: lookupOf(url) }
    const request =
      url.protocol === 'https:'
        ? requestHttps(url, { ...shared, agent: secure })
        : requestHttp(url, { ...shared, agent: plain })
    let response: IncomingMessage | undefined
    request
      .on('error', reject)
      .on('response', (answer) => {
        response = answer
        request.setTimeout(timeouts.body)
        resolve(answer)
      })
      .on('timeout', () => {
        // Bytes that were read wait for the client: the client is slow, not upstream.
        if (response !== undefined && response.readableLength > 0) request.setTimeout(timeouts.body)
        else (response ?? request).destroy(new DOMException('no answer', 'TimeoutError'))
      })
      .setTimeout(timeouts.head)
      .end()
    const answer = await promise
    const body = readableBody(answer, signal, async () => void answer.destroy())
    return { statusCode: answer.statusCode as number, headers: answer.headers, body }
  }

  return {
    send,
    close: () => {
      plain.destroy()
      secure.destroy()
    },
  }
}
