/** Raw bytes on a socket, and a strict parser of the responses. */
import { connect } from 'node:net'
import { must } from './target.ts'

export interface Exchange {
  readonly received: Buffer
  /** The peer has closed the connection in time. */
  readonly isClosed: boolean
}

interface ExchangeOptions {
  /** Source address. */
  readonly localAddress?: string
  /**
   * Milliseconds of silence after which we close our side. An earlier close would look like a client that leaves, and Node sends no answer
   * to such a client.
   */
  readonly silenceMs?: number
}

/** Milliseconds until the peer has to close the connection. */
const maxWaitMs = 15_000
const defaultSilenceMs = 400

/**
 * @param pieces each in a packet of its own, as far as the kernel has it
 * @param url where to
 */
export const exchange = async (
  url: string,
  pieces: readonly Buffer[],
  { localAddress = '127.0.0.1', silenceMs = defaultSilenceMs }: ExchangeOptions = {},
): Promise<Exchange> =>
  await new Promise((resolve) => {
    const { hostname, port } = new URL(url)
    const chunks: Buffer[] = []
    const socket = connect({ port: Number(port), host: hostname, noDelay: true, localAddress })
    let silence: NodeJS.Timeout | undefined
    const settle = (isClosed: boolean) => {
      clearTimeout(late)
      clearTimeout(silence)
      socket.destroy()
      resolve({ received: Buffer.concat(chunks), isClosed })
    }
    const late = setTimeout(() => settle(false), maxWaitMs)
    const write = (index: number): void => {
      if (socket.destroyed) return
      if (index === pieces.length) silence = setTimeout(() => socket.end(), silenceMs)
      else socket.write(pieces[index] as Buffer, () => setImmediate(() => write(index + 1)))
    }
    socket.once('connect', () => write(0))
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      silence?.refresh()
    })
    // The peer may cut the connection while we send. That alone is no failure.
    socket.on('error', () => undefined)
    socket.on('close', () => settle(true))
  })

export interface ReadAnswer {
  readonly status: number
  readonly fields: ReadonlyMap<string, string>
  readonly body: Buffer
}

/** Final responses in their order; the last one may be incomplete. @throws {Error} if the bytes are no HTTP responses */
export const answersIn = (received: Buffer): readonly ReadAnswer[] => {
  const answers: ReadAnswer[] = []
  let rest = received
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n')
    if (end === -1) return answers
    const head = rest.toString('latin1', 0, end)
    const [statusLine = '', ...lines] = head.split('\r\n')
    must(/^HTTP\/1\.1 [1-5]\d\d [\x20-\x7e]*$/.test(statusLine), 'an answer begins with a status line', head)
    must(
      lines.every((line) => /^[a-z0-9-]+: [\x20-\x7e]*$/i.test(line)),
      'its fields are fields',
      head,
    )
    const status = Number(statusLine.split(' ')[1])
    const fields = new Map(
      lines.map((line) => [line.split(':', 1).join('').toLowerCase(), line.replace(/^[^:]*: /, '')]),
    )
    rest = rest.subarray(end + 4)
    if (status < 200) continue
    const body = bodyIn(rest, fields, status)
    if (body === undefined) return answers
    rest = rest.subarray(body.length)
    answers.push({ status, fields, body: body.content })
  }
  return answers
}

const bodyIn = (
  rest: Buffer,
  fields: ReadonlyMap<string, string>,
  status: number,
): { content: Buffer; length: number } | undefined => {
  if (status === 204 || status === 304) return { content: Buffer.alloc(0), length: 0 }
  if (fields.get('transfer-encoding') === 'chunked') return chunkedIn(rest)
  const length = Number(fields.get('content-length'))
  must(Number.isSafeInteger(length), 'an answer says how long it is', [...fields])
  return rest.length < length ? undefined : { content: rest.subarray(0, length), length }
}

const chunkedIn = (rest: Buffer): { content: Buffer; length: number } | undefined => {
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const end = rest.indexOf('\r\n', at)
    if (end === -1) return undefined
    const size = Number.parseInt(rest.toString('latin1', at, end), 16)
    const begin = end + 2
    if (rest.length < begin + size + 2) return undefined
    parts.push(rest.subarray(begin, begin + size))
    at = begin + size + 2
    if (size === 0) return { content: Buffer.concat(parts), length: at }
  }
}

/** Checks that an error is OCI JSON. @throws {Error} if it is not */
export const mustBeOci = ({ status, fields, body }: ReadAnswer): void => {
  if (status < 400) return
  const text = body.toString()
  must(fields.get('content-type') === 'application/json', 'an error is JSON', [...fields])
  must(status !== 500, 'no mistake of ours', text)
  const { errors } = JSON.parse(text) as { errors?: readonly { code?: unknown; message?: unknown }[] }
  const [error] = errors ?? []
  must(typeof error?.code === 'string' && typeof error.message === 'string', 'an error is an OCI error', text)
}
