/**
 * Requests to S3, each with a deadline and behind the circuit breaker.
 */
import { unlessAborted } from '../../concurrency/abortable.ts'
import type { ObjectStore } from './object-store.ts'
import type { S3Circuit } from './s3-circuit.ts'
import { describeS3Error, isFailing, S3CircuitOpen, S3Refused, S3Unavailable, statusOf } from './s3-errors.ts'
import type { S3Observers, S3Operation, S3Outcome } from './s3-observers.ts'

export interface S3RequestsOptions {
  readonly store: Promise<ObjectStore>
  readonly circuit: S3Circuit
  readonly observe: Pick<S3Observers, 'request'>
  /** Milliseconds for a request, up to the first byte of a body. */
  readonly deadlineMs: number
}

/** An answer of S3 to a GET. */
export interface S3Reply {
  readonly statusCode: number
  readonly body: { readonly discard: () => Promise<void> }
}

export type FetchObject<Reply> = (url: URL, signal: AbortSignal) => Promise<Reply>

/** Seconds: as long as the URLs of quay's own storage. A client follows them at once. */
const urlSeconds = 60
/** The whole object, a part, and a range outside of the object. */
const foundStatuses = new Set([200, 206, 416])

export class S3Requests {
  readonly #options: S3RequestsOptions

  constructor(options: S3RequestsOptions) {
    this.#options = options
  }

  /**
   * @param fetch sends a GET to a signed URL. Its signal ends with `signal`, and with the deadline until the head of the answer is there
   * @returns undefined if there is no such object; else an answer of 200, 206 or 416
   * @throws {Error} if S3 does not give it now
   */
  async get<Reply extends S3Reply>(
    key: string,
    fetch: FetchObject<Reply>,
    signal: AbortSignal | undefined,
  ): Promise<Reply | undefined> {
    const send = async (isProbe: boolean) => await this.#get(key, fetch, isProbe ? undefined : signal)
    const drop = async (reply: Reply | undefined) => await reply?.body.discard()
    return await this.#observed('get', async () => await this.#options.circuit.run(send, drop))
  }

  /** @returns bytes; undefined if the object does not exist. @throws {Error} if S3 gives no answer */
  async sizeOf(key: string): Promise<number | undefined> {
    const { circuit, store, deadlineMs } = this.#options
    const head = async (): Promise<number | undefined> =>
      await withDeadline(deadlineMs, undefined, async (signal) => {
        const objects = await unlessAborted(signal, store)
        return await unlessAborted(signal, objects.sizeOf(key, signal))
      })
    return await this.#observed('head', async () => await circuit.run(head))
  }

  /** @throws {Error} if the credentials do not arrive in time */
  async signedUrl(key: string): Promise<URL> {
    return await withDeadline(
      this.#options.deadlineMs,
      undefined,
      async (signal) => await this.#sign(key, signal),
    )
  }

  /** @throws {Error} if S3 fails or refuses */
  async remove(key: string): Promise<void> {
    const { store, deadlineMs } = this.#options
    await this.#observed('delete', async () => {
      await withDeadline(deadlineMs, undefined, async (signal) => {
        const objects = await unlessAborted(signal, store)
        await unlessAborted(signal, objects.remove(key, signal))
      })
      return true
    })
  }

  async #get<Reply extends S3Reply>(
    key: string,
    fetch: FetchObject<Reply>,
    signal: AbortSignal | undefined,
  ): Promise<Reply | undefined> {
    return await withDeadline(this.#options.deadlineMs, signal, async (until) => {
      const reply = await fetch(await this.#sign(key, until), until)
      if (foundStatuses.has(reply.statusCode)) return reply
      await reply.body.discard()
      if (reply.statusCode === 404) return undefined
      throw failureFor(reply.statusCode)
    })
  }

  async #sign(key: string, signal: AbortSignal): Promise<URL> {
    const store = await unlessAborted(signal, this.#options.store)
    return await unlessAborted(signal, store.urlOf(key, urlSeconds))
  }

  async #observed<Answer>(
    operation: S3Operation,
    send: () => Promise<Answer | undefined>,
  ): Promise<Answer | undefined> {
    const { request } = this.#options.observe
    try {
      const answer = await send()
      request(operation, answer === undefined ? 'absent' : 'found')
      return answer
    } catch (error) {
      request(operation, outcomeOf(error), describeS3Error(error))
      throw error
    }
  }
}

/**
 * Runs a request with a signal. The caller's signal aborts it at any time, and the deadline aborts it until the request returns.
 * @throws {S3Unavailable} {S3Refused}; the reason of the caller's signal
 */
const withDeadline = async <Answer>(
  deadlineMs: number,
  caller: AbortSignal | undefined,
  run: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> => {
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(new S3Unavailable('no answer in time')), deadlineMs)
  const signal = caller === undefined ? deadline.signal : AbortSignal.any([caller, deadline.signal])
  try {
    return await run(signal).catch((error: unknown) => {
      throw caller?.aborted === true ? caller.reason : classified(error)
    })
  } finally {
    clearTimeout(timer)
  }
}

const failureFor = (status: number, cause?: unknown): Error =>
  isFailing(status)
    ? new S3Unavailable(`S3 answered ${status}`, { cause })
    : new S3Refused(`S3 answered ${status}`, { cause })

const classified = (error: unknown): Error => {
  if (error instanceof S3Unavailable || error instanceof S3Refused) return error
  const status = statusOf(error)
  return status === undefined
    ? new S3Unavailable('S3 cannot be reached', { cause: error })
    : failureFor(status, error)
}

const outcomeOf = (error: unknown): S3Outcome => {
  if (error instanceof S3CircuitOpen) return 'circuit-open'
  if (error instanceof S3Refused) return 'refused'
  return error instanceof S3Unavailable ? 'failed' : 'cancelled'
}
