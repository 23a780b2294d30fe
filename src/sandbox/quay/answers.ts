/** Responses of the sandbox's quay as values, and how they are written, broken or cut. */
import { STATUS_CODES } from 'node:http'
import type { ServerResponse } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import type { Fault } from './faults.ts'

/** A response as a value, so that a handler decides and `writeAnswer` alone writes, breaks or cuts it. */
export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: readonly Buffer[]
}

/** Bytes of one write to the socket: large enough to be cheap, and small enough that a slow reader holds little memory. */
const chunkBytes = 256 * 1024

export const jsonAnswer = (
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Answer => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: [Buffer.from(JSON.stringify(value))],
})

/** The page of nginx in front of quay, for requests that do not reach the application (429, 502, 405). */
export const htmlAnswer = (status: number, headers: Readonly<Record<string, string>> = {}): Answer => {
  const title = `${status} ${STATUS_CODES[status]}`
  const page = `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n`
  return { status, headers: { 'content-type': 'text/html', ...headers }, body: [Buffer.from(page)] }
}

/** Changes the answer before it is written. */
export const applyFault = (answer: Answer, fault: Fault): Answer => {
  const { status, headers, body = [] } = fault.status === undefined ? answer : htmlAnswer(fault.status)
  const added = Object.entries(fault.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value])
  const merged = { ...headers, ...(Object.fromEntries(added) as Record<string, string>) }
  if (fault.redirectTo !== undefined && status !== 401)
    return { status: 302, headers: { ...merged, location: fault.redirectTo } }
  return { status, headers: merged, body: fault.wrongBytes === true ? spoil(body) : body }
}

const spoil = (body: readonly Buffer[]): readonly Buffer[] => {
  const wrong = Buffer.concat(body)
  const middle = wrong.length >> 1
  if (wrong.length > 0) wrong.writeUInt8(wrong.readUInt8(middle) ^ 0xff, middle)
  return [wrong]
}

/** Writes no faster than the client reads. Resolves when the kernel has the body, or when the socket is closed. */
export const writeAnswer = async (response: ServerResponse, answer: Answer, fault: Fault): Promise<void> => {
  const { status, headers, body = [] } = answer
  const length = body.reduce((sum, part) => sum + part.length, 0)
  const chunked = fault.truncateAfterBytes !== undefined
  response.writeHead(status, { ...(chunked ? {} : { 'content-length': String(length) }), ...headers })
  if (response.req.method === 'HEAD') {
    response.end()
    return
  }
  const limit = fault.cutAfterBytes ?? fault.truncateAfterBytes ?? fault.stallAfterBytes ?? Infinity
  await writeBody(response, body, limit)
  if (fault.cutAfterBytes !== undefined) await cut(response)
  else if (length <= (fault.stallAfterBytes ?? Infinity)) response.end()
  else response.flushHeaders()
}

const writeBody = async (response: ServerResponse, body: readonly Buffer[], limit: number): Promise<void> => {
  const closed = new Promise<void>((resolve) => response.once('close', resolve))
  let left = limit
  for (const part of body)
    for (let offset = 0; offset < part.length && left > 0 && !response.destroyed;) {
      const chunk = part.subarray(offset, offset + Math.min(chunkBytes, left))
      const written = new Promise<void>((resolve) => response.write(chunk, () => resolve()))
      await Promise.race([written, closed])
      offset += chunk.length
      left -= chunk.length
    }
}

const cut = async (response: ServerResponse): Promise<void> => {
  response.flushHeaders()
  await setImmediate()
  response.destroy()
}
