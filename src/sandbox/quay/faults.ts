/** The faults of the sandbox's quay and its CDN, and the rules for which requests they apply. */
import type { IncomingMessage, ServerResponse } from 'node:http'

export type OriginName = 'quay' | 'cdn'

/** One way to fail. Fields may be combined: `delayMs` with `status`, `wrongBytes` with `cutAfterBytes`. */
export interface Fault {
  /** Wait before anything else. */
  readonly delayMs?: number
  /** Never answer; the socket stays open until the client or `close()` ends it. */
  readonly hang?: boolean
  /** Destroy the socket before the head of the response. */
  readonly reset?: boolean
  /** Answer this status with an HTML page as nginx in front of quay writes it. */
  readonly status?: number
  /** Header fields that are added to every answer. */
  readonly headers?: Readonly<Record<string, string>>
  /** Destroy the socket when this many bytes of the body have been written. */
  readonly cutAfterBytes?: number
  /** End cleanly after this many bytes; only chunked encoding can, so Content-Length goes. */
  readonly truncateAfterBytes?: number
  /** Write no more after this many bytes, and keep the socket open. */
  readonly stallAfterBytes?: number
  /** Right length, one byte wrong. */
  readonly wrongBytes?: boolean
  /** Send a 302 to this URL instead, unless the answer is a 401. */
  readonly redirectTo?: string
  /** Treat the JWT shown as expired. */
  readonly expire?: boolean
  /** Answers the request itself; nothing else is done with it. */
  readonly raw?: (request: IncomingMessage, response: ServerResponse) => void
}

export interface FaultRule extends Fault {
  readonly origin: OriginName
  /** Matched against path and query. */
  readonly path: RegExp
  readonly method?: string
  /** The number of requests that it applies to. Default: 1. `Infinity` for all until `clear`. */
  readonly count?: number
  /** Called for each request that matches. @returns whether the rule applies to it */
  readonly when?: () => boolean
}

/** Rules in the order they were added; each request spends one use of the first that matches. */
export class Faults {
  #rules: Array<{ readonly rule: FaultRule; left: number }> = []

  add(rule: FaultRule): void {
    this.#rules.push({ rule, left: rule.count ?? 1 })
  }

  clear(): void {
    this.#rules = []
  }

  take(origin: OriginName, method: string, path: string): Fault {
    const hit = this.#rules.find(
      ({ rule, left }) =>
        left > 0 &&
        rule.origin === origin &&
        (rule.method ?? method) === method &&
        path.search(rule.path) !== -1 &&
        (rule.when?.() ?? true),
    )
    if (hit === undefined) return {}
    hit.left -= 1
    return hit.rule
  }
}
