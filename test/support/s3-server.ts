/**
 * A small S3: one bucket in memory, with the part of the protocol that the proxy uses, and faults of a store. It checks only that each
 * request has a signature; versitygw checks signatures in the end-to-end tests.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** What happens to a request instead. */
export interface S3Fault {
  /** Of `GET`, `HEAD`, `PUT`, `POST`, `DELETE`; every method unless given. */
  readonly method?: string
  readonly status?: number
  /** Bytes of a body after which the connection is cut. */
  readonly cutAt?: number
  /** Bytes of a body after which nothing comes any more. */
  readonly stallAt?: number
  /** Nothing is answered. */
  readonly hangs?: boolean
  /** The connection is closed instead of an answer. */
  readonly resets?: boolean
  /** One byte of the body is wrong. */
  readonly wrongBytes?: boolean
  /** The whole object is sent for a range. */
  readonly ignoresRange?: boolean
  readonly headers?: Readonly<Record<string, string>>
  /** Until the request is answered. */
  readonly until?: Promise<unknown>
  /** How many requests; one unless given. */
  readonly count?: number
  /** Called for each request that may be hit. */
  readonly when?: () => boolean
}

export interface S3Server {
  readonly url: URL
  readonly objects: Map<string, Buffer>
  /** Parts of uploads that are not complete, by their id. */
  readonly uploads: Map<string, Map<number, Buffer>>
  /** `GET blobs/sha256/..`, with the range if there is one. Of an upload: `POST key?uploads`, `PUT key?part=1`, `POST key?complete`. */
  readonly requests: string[]
  /** Whole targets, which hold signatures. */
  readonly targets: string[]
  readonly authorizations: string[]
  readonly userAgents: string[]
  readonly fault: (fault: S3Fault) => void
  readonly mend: () => void
}

export const bucket = 'cache-of-tests'
export const s3Credentials = { accessKeyId: 'AKIAOFTHETESTS', secretAccessKey: 'the-secret-key-of-the-tests' }

export const startS3 = async (test: Test): Promise<S3Server> => {
  const s3 = new FakeS3()
  const server = createServer((request, response) => {
    // The client has left in the middle of its request.
    s3.handle(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  test.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  s3.url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return s3
}

/** The flags of a proxy whose cache is in this bucket. */
export const s3FlagsFor = (test: Test, s3: S3Server): readonly string[] => {
  const folder = mkdtempSync(join(tmpdir(), 'quay-proxy-s3-'))
  test.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'credentials')
  const { accessKeyId, secretAccessKey } = s3Credentials
  writeFileSync(file, `aws_access_key_id=${accessKeyId}\naws_secret_access_key=${secretAccessKey}\n`)
  return [
    `--cache-s3=s3://${bucket}`,
    `--cache-s3-endpoint=${s3.url.origin}`,
    `--cache-s3-credentials-file=${file}`,
  ]
}

class FakeS3 implements S3Server {
  url = new URL('http://127.0.0.1')
  readonly objects = new Map<string, Buffer>()
  readonly uploads = new Map<string, Map<number, Buffer>>()
  readonly requests: string[] = []
  readonly targets: string[] = []
  readonly authorizations: string[] = []
  readonly userAgents: string[] = []
  #faults: { readonly fault: S3Fault; left: number }[] = []

  fault = (fault: S3Fault): void => {
    this.#faults.push({ fault, left: fault.count ?? 1 })
  }

  mend = (): void => {
    this.#faults = []
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '' } = request
    const url = new URL(request.url ?? '', this.url)
    const key = decodeURIComponent(url.pathname).replace(`/${bucket}/`, '')
    this.#note(request, url, key)
    const fault = this.#faultFor(method)
    await fault?.until
    if (fault?.hangs === true) return
    if (fault?.resets === true) return void request.socket.destroy()
    if (fault?.status !== undefined) return fail(request, response, fault.status)
    if (!isSigned(request, url)) return fail(request, response, 403)
    if (method === 'GET' || method === 'HEAD') return this.#send(request, response, key, fault ?? {})
    return this.#change(method, url, key, await bytesOfBody(request), response)
  }

  #change(method: string, url: URL, key: string, body: Buffer, response: ServerResponse): void {
    if (url.searchParams.has('uploads') || url.searchParams.has('uploadId'))
      return this.#multipart(method, url, key, body, response)
    if (method === 'PUT') this.objects.set(key, body)
    else this.objects.delete(key)
    return void response.writeHead(200, { etag: '"e"' }).end()
  }

  #send(request: IncomingMessage, response: ServerResponse, key: string, fault: S3Fault): void {
    const content = this.objects.get(key)
    if (content === undefined) return fail(request, response, 404)
    const range = fault.ignoresRange === true ? undefined : rangeOf(request, content.length)
    if (range !== undefined && range.start >= content.length) return fail(request, response, 416)
    return send(request, response, content, range, fault)
  }

  #note({ method = '', headers }: IncomingMessage, url: URL, key: string): void {
    const part = url.searchParams.get('partNumber')
    const kind = url.searchParams.has('uploads') ? '?uploads' : part === null ? '' : `?part=${part}`
    const end = kind === '' && url.searchParams.has('uploadId') ? '?complete' : kind
    const range = headers.range === undefined ? '' : ` ${headers.range}`
    this.requests.push(`${method} ${key}${end}${range}`)
    this.targets.push(`${url.pathname}${url.search}`)
    this.userAgents.push(headers['user-agent'] ?? '')
    if (headers.authorization !== undefined) this.authorizations.push(headers.authorization)
  }

  #faultFor(method: string): S3Fault | undefined {
    const found = this.#faults.find(
      ({ fault, left }) => left > 0 && (fault.method ?? method) === method && (fault.when?.() ?? true),
    )
    if (found !== undefined) found.left -= 1
    return found?.fault
  }

  #multipart(method: string, url: URL, key: string, body: Buffer, response: ServerResponse): void {
    const id = url.searchParams.get('uploadId') ?? `upload-${this.requests.length}`
    const parts = this.uploads.get(id) ?? new Map<number, Buffer>()
    if (method === 'POST' && url.searchParams.has('uploads')) {
      this.uploads.set(id, parts)
      return xml(
        response,
        `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
      )
    }
    if (method === 'PUT') {
      parts.set(Number(url.searchParams.get('partNumber')), body)
      return void response.writeHead(200, { etag: `"${url.searchParams.get('partNumber')}"` }).end()
    }
    this.uploads.delete(id)
    if (method === 'DELETE') return void response.writeHead(204).end()
    const whole = [...parts].toSorted(([a], [b]) => a - b).map(([, part]) => part)
    this.objects.set(key, Buffer.concat(whole))
    return xml(response, '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>')
  }
}

const isSigned = ({ headers }: IncomingMessage, url: URL): boolean =>
  headers.authorization !== undefined || url.searchParams.has('X-Amz-Signature')

const xml = (response: ServerResponse, text: string): void =>
  void response.writeHead(200, { 'content-type': 'application/xml' }).end(`<?xml version="1.0"?>${text}`)

/** As AWS does it: an error has a body without a length. */
const fail = (request: IncomingMessage, response: ServerResponse, status: number): void => {
  response.writeHead(status, { 'content-type': 'application/xml' })
  if (request.method !== 'HEAD') response.write('<?xml version="1.0"?><Error><Code>Broken</Code></Error>')
  response.end()
}

const bytesOfBody = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

interface Range {
  readonly start: number
  readonly end: number
}

const rangeOf = ({ headers }: IncomingMessage, size: number): Range | undefined => {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? []
  if (first === '') return last === '' ? undefined : { start: Math.max(0, size - Number(last)), end: size }
  return { start: Number(first), end: last === '' ? size : Math.min(Number(last) + 1, size) }
}

const send = (
  { method }: IncomingMessage,
  response: ServerResponse,
  content: Buffer,
  range: Range | undefined,
  { headers, cutAt, stallAt, wrongBytes = false }: S3Fault,
): void => {
  const { start, end } = range ?? { start: 0, end: content.length }
  response.writeHead(range === undefined ? 200 : 206, {
    'content-type': 'application/octet-stream',
    'content-length': end - start,
    etag: '"of-the-store"',
    ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${end - 1}/${content.length}` }),
    ...headers,
  })
  if (method === 'HEAD') return void response.end()
  const part = wrongBytes ? otherBytes(content.subarray(start, end)) : content.subarray(start, end)
  if (cutAt === undefined && stallAt === undefined) return void response.end(part)
  response.write(part.subarray(0, cutAt ?? stallAt), () => {
    if (cutAt !== undefined) response.destroy()
  })
}

const otherBytes = (bytes: Buffer): Buffer => {
  const other = Buffer.from(bytes)
  if (other.length > 0) other[0] = (other[0] as number) ^ 1
  return other
}
