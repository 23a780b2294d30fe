/**
 * The client for the bucket of the cache: the one of upstream, without redirects, with deadlines of its own. Its address is the
 * operator's choice, so it may be a private one.
 */
import { createNetwork, type Network } from './network.ts'
import type { RoundTrip } from './round-trip.ts'

export interface S3NetworkOptions {
  /** PEM, in addition to the well-known authorities. */
  readonly ca: string | undefined
  readonly maxConnections: number
  readonly userAgent?: string | undefined
}

export interface S3Network {
  readonly roundTrip: RoundTrip
  readonly close: () => Promise<void>
}

/** Milliseconds. Upstream is next: there is no reason to wait for long. */
const timeouts = { connect: 1500, head: 2500, body: 5000 }

export const createS3Network = ({ ca, maxConnections, userAgent }: S3NetworkOptions): S3Network => {
  let network: Network | undefined
  return {
    roundTrip: async (url, request) => {
      // Every signed URL is of the same origin, which only the SDK knows: the bucket may be a part of the host name.
      network ??= createNetwork({
        origin: new URL(url.origin),
        maxConnections,
        userAgent,
        observe: () => undefined,
        timeouts,
        ...(ca === undefined ? {} : { ca }),
      })
      return await network.roundTrip(url, request)
    },
    close: async () => await network?.close(),
  }
}
