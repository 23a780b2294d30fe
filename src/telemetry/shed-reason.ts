/**
 * Why a client was refused or its connection cut: the values of the `reason` label of the shed metric.
 *
 * `requests`, `connections`, `logins`, `forms`: over their limit, or a form that arrived too late. `heads`: too many bytes of
 * unfinished request heads. `pipelined`: too many requests on one connection. `stalled`: the client did not read its answer. `pending`:
 * the client already has too many bytes to read. `proxy-protocol`: a proxy that did not name its client.
 */
export const shedReasons = [
  'requests',
  'connections',
  'logins',
  'forms',
  'heads',
  'pipelined',
  'stalled',
  'pending',
  'proxy-protocol',
] as const

export type ShedReason = (typeof shedReasons)[number]
