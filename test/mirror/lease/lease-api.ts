/** An API server that has one lease. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'

interface StoredLease {
  readonly metadata?: { readonly resourceVersion?: string }
  readonly spec?: Readonly<Record<string, unknown>>
}

export const startLeaseApi = async (test: Test) => {
  const state = {
    lease: undefined as StoredLease | undefined,
    requests: [] as string[],
    status: 0,
    isSilent: false,
  }
  const server = createServer((request, response) => {
    void answer(request, response)
  })
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    state.requests.push(`${request.method} ${request.url}`)
    const body = await text(request)
    if (state.isSilent) return
    const send = (status: number, content: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content))
    }
    const failure = (code: number): void => send(code, { kind: 'Status', code })
    if (state.status !== 0) return failure(state.status)
    if (request.method === 'GET') return state.lease === undefined ? failure(404) : send(200, state.lease)
    const sent = JSON.parse(body) as StoredLease
    const version = state.lease?.metadata?.resourceVersion
    if (sent.metadata?.resourceVersion !== version) return failure(409)
    state.lease = { ...sent, metadata: { ...sent.metadata, resourceVersion: `${Number(version ?? 0) + 1}` } }
    send(200, state.lease)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(() => server.close().closeAllConnections())
  return { state, port: (server.address() as AddressInfo).port }
}
