/**
 * undici's connections to upstream and to where it redirects: TLS is verified, their number and the size of heads are bounded, and a
 * redirect does not lead to a private address.
 */
import { rootCertificates } from 'node:tls'
import { Agent } from 'undici'
import { isPrivateAddress, isPrivateHost, observedLookup, publicLookup, type Lookup } from './redirect.ts'

/** Milliseconds. */
export interface ConnectionTimeouts {
  readonly connect: number
  readonly head: number
  /** Between two chunks of a body. It does not run while a slow client pauses the stream. */
  readonly body: number
}

export interface AgentsOptions {
  readonly origin: URL
  /** PEM, in addition to the well-known authorities. */
  readonly ca?: string
  /** To one origin at a time. */
  readonly maxConnections: number
  readonly timeouts: ConnectionTimeouts
  readonly lookup?: Lookup
}

export interface Agents {
  /** Blobs have connections of their own: a slow client holds one for as long as it reads. */
  readonly of: (url: URL, isBlob: boolean) => Agent
  /** The resolver for the host of a URL. */
  readonly lookupOf: (url: URL) => Lookup
  /** Whether upstream itself is on a private address, as far as it is known from DNS. Only then it may redirect to one. */
  readonly isUpstreamPrivate: () => boolean
  readonly close: () => Promise<void>
}

/** Bytes. A head with a signed URL or a challenge fits many times over. */
export const maxHeadBytes = 32 * 1024

export const createAgents = (options: AgentsOptions): Agents => {
  const { origin, ca, maxConnections, lookup, timeouts } = options
  const shared = {
    connections: maxConnections,
    headersTimeout: timeouts.head,
    bodyTimeout: timeouts.body,
    maxHeaderSize: maxHeadBytes,
  }
  const connect = {
    timeout: timeouts.connect,
    ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
  }
  let isUpstreamPrivate = isPrivateHost(origin.hostname)
  // An upstream inside the cluster (a cache) may redirect to storage inside the cluster.
  const noteUpstream = observedLookup((addresses) => {
    isUpstreamPrivate = addresses.every(isPrivateAddress)
  }, lookup)
  const guard = publicLookup(() => isUpstreamPrivate, lookup)
  const createAgent = () => new Agent({ ...shared, connect: { ...connect, lookup: noteUpstream } })
  const [upstream, upstreamBlobs] = [createAgent(), createAgent()]
  const elsewhere = new Agent({ ...shared, connect: { ...connect, lookup: guard } })
  return {
    of: (url, isBlob) => {
      if (url.origin !== origin.origin) return elsewhere
      return isBlob ? upstreamBlobs : upstream
    },
    isUpstreamPrivate: () => isUpstreamPrivate,
    lookupOf: (url: URL) => (url.origin === origin.origin ? noteUpstream : guard) as Lookup,
    close: async () => {
      await Promise.all([upstream, upstreamBlobs, elsewhere].map(async (agent) => await agent.destroy()))
    },
  }
}
