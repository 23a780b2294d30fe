/**
 * What a client may cost before it is known who it is: connections, requests, time. No flags, since none of them is a matter of
 * taste; tests use shorter times.
 */
export interface ClientLimits {
  /** Milliseconds for a head to arrive, from the connection or from its first byte. */
  readonly headerTimeoutMs: number
  /** Milliseconds for a whole request to arrive, its body included. */
  readonly requestMs: number
  /** Milliseconds for the realm's form to arrive once its head is there. */
  readonly formMs: number
  /** Milliseconds for a proxy to say whom it speaks for, with `--proxy-protocol`. */
  readonly proxyHeaderMs: number
  readonly handshakeMs: number
  /** Milliseconds for a client to close its side once it was told what is wrong. */
  readonly lingerMs: number
  /** Milliseconds that a connection is kept without a request on it. */
  readonly idleMs: number
  /** Milliseconds of silence after which the kernel asks whether the peer is still there. */
  readonly probeAfterMs: number
  /** Milliseconds between two looks for what is late: so much longer than promised a late one is kept at most. */
  readonly checkMs: number
  /** Milliseconds in which a client has to take `minTakenBytes` of an answer that waits for it. */
  readonly stallMs: number
  readonly minTakenBytes: number
  /** Milliseconds between two looks for clients that take nothing. */
  readonly sweepMs: number
  /** Beyond them, whoever has most gives one to whoever comes. */
  readonly maxConnections: number
  /** Bytes of heads that have not arrived whole, and milliseconds between two looks at them. */
  readonly maxHeadBytes: number
  readonly headSweepMs: number
  /** Requests in progress at a time. */
  readonly maxRequests: number
  /** Forms that have not arrived whole. Shared out by address, as all that follow. */
  readonly maxForms: number
  /** Credentials that are being looked at. */
  readonly maxLogins: number
  /** Bytes of answers that wait for their clients, blobs aside. Shared out by who asks. */
  readonly maxPendingBytes: number
  /** Requests of one connection that wait for those before them. */
  readonly maxPipelined: number
}

export const defaultClientLimits: ClientLimits = {
  // 64 KiB at 64 kbit/s take eight seconds; a usual head is one packet, and three seconds late when it is lost twice.
  headerTimeoutMs: 10_000,
  // Whatever a client sends behind its head, and nobody reads.
  requestMs: 30_000,
  // A few hundred bytes: with the head, or a packet behind it that was lost once or twice.
  formMs: 2000,
  // In the first packet.
  proxyHeaderMs: 2000,
  // Two round trips, with the same packets lost.
  handshakeMs: 10_000,
  // A few round trips.
  lingerMs: 2000,
  // Longer than the idle time of a load balancer in front, which must be the one that closes.
  idleMs: 75_000,
  // Then ten probes a second apart (libuv): a client whose machine is gone is let go after 70 s.
  probeAfterMs: 60_000,
  // Node's own half minute would make 40 s of ten.
  checkMs: 1000,
  // docker and containers/image read nothing while they unpack a layer before: minutes at most. They resume what is cut.
  stallMs: 5 * 60_000,
  // 218 bytes a second: 100 MB would take five days.
  minTakenBytes: 64 * 1024,
  sweepMs: 10_000,
  // Twice the requests, since half of the connections may be idle. A descriptor each, and one to upstream for 1024 by default:
  // below the 16384 that a careful ulimit leaves a container, and far below the usual 1048576.
  maxConnections: 8192,
  // A thousandth of it is what a usual head takes that came in two packets. The pod has 3 GiB.
  maxHeadBytes: 64 * 1024 * 1024,
  // What a gigabit can bring meanwhile is 31 MB.
  headSweepMs: 250,
  // Four times the connections to upstream by default; whoever waits costs about 25 KiB, 100 MiB in all.
  maxRequests: 4096,
  // 16 KiB each at most.
  maxForms: 1024,
  // Half of the requests: the others are of people who are known.
  maxLogins: 2048,
  // 64 of the largest manifests, half of them one requester's. Shared buffers count for each answer all the same, as TLS copies them.
  maxPendingBytes: 256 * 1024 * 1024,
  // Clients of a registry send none, proxies in front a handful at most.
  maxPipelined: 16,
}
