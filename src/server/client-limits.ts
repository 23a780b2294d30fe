/**
 * The limits of a client before authentication: connections, requests, time. They are not flags, because no operator needs other values;
 * tests use shorter times.
 */
export interface ClientLimits {
  /** Milliseconds until a request head has arrived, from the connection or from the first byte of the head. */
  readonly headerTimeoutMs: number
  /** Milliseconds until a whole request has arrived, its body included. */
  readonly requestMs: number
  /** Milliseconds until the form of the token endpoint has arrived, from the end of its head. */
  readonly formMs: number
  /** Milliseconds until a trusted proxy has sent the PROXY protocol header, with `--proxy-protocol`. */
  readonly proxyHeaderMs: number
  readonly handshakeMs: number
  /** Milliseconds until the client has closed its side, after an error response on the bare socket. */
  readonly lingerMs: number
  /** Milliseconds until an idle connection is closed. */
  readonly idleMs: number
  /** Milliseconds of silence before TCP keep-alive probes. */
  readonly probeAfterMs: number
  /** Milliseconds between two checks of the deadlines: a late connection lives so much longer at most. */
  readonly checkMs: number
  /** Milliseconds in which a client has to read `minTakenBytes` of a response that waits for it. */
  readonly stallMs: number
  readonly minTakenBytes: number
  /** Milliseconds between two checks for clients that do not read. */
  readonly sweepMs: number
  /** Connections. Beyond the limit, the address with the most connections loses one to the newcomer. */
  readonly maxConnections: number
  /** Bytes of unfinished request heads, and milliseconds between two checks of them. */
  readonly maxHeadBytes: number
  readonly headSweepMs: number
  /** Concurrent requests. */
  readonly maxRequests: number
  /** Unfinished forms. This limit and the following ones are shared out by address. */
  readonly maxForms: number
  /** Concurrent authentications. */
  readonly maxLogins: number
  /** Bytes of responses that wait for their clients, except blobs. Shared out by requester. */
  readonly maxPendingBytes: number
  /** Pipelined requests that wait on one connection. */
  readonly maxPipelined: number
}

export const defaultClientLimits: ClientLimits = {
  // 64 KiB at 64 kbit/s take eight seconds. A usual head is one packet, three seconds late if it is lost twice.
  headerTimeoutMs: 10_000,
  // A body that the proxy does not read may follow the head.
  requestMs: 30_000,
  // A form has a few hundred bytes: in the packet of the head, or in the next one, which may be lost once or twice.
  formMs: 2000,
  // The header is in the first packet.
  proxyHeaderMs: 2000,
  // Two round trips, with lost packets.
  handshakeMs: 10_000,
  // A few round trips.
  lingerMs: 2000,
  // Longer than the idle timeout of a load balancer in front of the proxy: the balancer must be the side that closes.
  idleMs: 75_000,
  // Then libuv sends ten probes, one a second: a dead client is dropped after 70 s.
  probeAfterMs: 60_000,
  // Node's own value of 30 s would turn a deadline of 10 s into 40 s.
  checkMs: 1000,
  // docker and containers/image do not read while they unpack the layer before: minutes at most. They resume cut downloads.
  stallMs: 5 * 60_000,
  // 218 bytes a second: 100 MB would take five days.
  minTakenBytes: 64 * 1024,
  sweepMs: 10_000,
  // Twice the requests, because half of the connections may be idle. Each needs a descriptor, and upstream 1024 more by default: below the
  // 16384 of a low container limit, and far below the usual 1048576.
  maxConnections: 8192,
  // A usual head in two packets takes a thousandth of it. The pod has 3 GiB.
  maxHeadBytes: 64 * 1024 * 1024,
  // A link of 1 Gbit/s brings 31 MB between two checks.
  headSweepMs: 250,
  // Four times the default of upstream connections. A waiting request costs about 25 KiB, 100 MiB in all.
  maxRequests: 4096,
  // Each has 16 KiB at most.
  maxForms: 1024,
  // Half of the requests: the other half is left for authenticated requests.
  maxLogins: 2048,
  // 64 manifests of the largest size, half of them for one requester. Shared buffers count for each response, because TLS copies them.
  maxPendingBytes: 256 * 1024 * 1024,
  // Clients of a registry do not pipeline; proxies may pipeline a handful.
  maxPipelined: 16,
}
