/**
 * A registry that takes pushes, in memory: what quay.io checks on a push, upload sessions that resume, bearer tokens, and faults between
 * any two requests.
 */
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'

export interface StoredManifest {
  readonly mediaType: string
  readonly bytes: Buffer
}

export interface StoredRepository {
  readonly manifests: Map<string, StoredManifest>
  readonly tags: Map<string, string>
  readonly blobs: Map<string, Buffer>
}

/**
 * `cut before`: the connection ends and nothing was done. `cut after`: it was done. `half body`: the body ends in the middle. `no body`: it
 * ends before it begins.
 * `wrong bytes`: a byte of the body is another one. An object: that answer, and nothing was done.
 */
export type Fault =
  | 'cut before'
  | 'cut after'
  | 'half body'
  | 'no body'
  | 'wrong bytes'
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }

export interface FakeRequest {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly headers: IncomingMessage['headers']
}

export interface PushableRegistry {
  readonly origin: URL
  readonly host: string
  /** Those so far, without those for tokens. */
  readonly requests: FakeRequest[]
  readonly tokenRequests: string[]
  readonly repository: (name: string) => StoredRepository
  /** Asked before each request is done. */
  fault: (request: FakeRequest) => Fault | undefined
  /** Called after each change of a tag. */
  onTag: (repository: string, tag: string, now: string, before: string | undefined) => void
  /** Of each upload that is not committed. */
  readonly uploads: Map<string, Buffer>
  /** `GET blobs` redirects there. */
  storage: URL | undefined
  /** The answer to each request for a token. */
  tokenFault:
    { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string } | undefined
  /** Fields of each answer. */
  readonly extraHeaders: Record<string, string>
}

export interface PushableRegistryOptions {
  /** Tokens are wanted, or user and password with each request. */
  readonly login?: 'bearer' | 'basic'
  /** Seconds. */
  readonly tokenLife?: number
}

export const digestOf = (bytes: Buffer | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

export const startPushableRegistry = async (
  test: Test,
  { login, tokenLife = 300 }: PushableRegistryOptions = {},
): Promise<PushableRegistry> => {
  const repositories = new Map<string, StoredRepository>()
  const repository = (name: string): StoredRepository => {
    const existing = repositories.get(name)
    if (existing !== undefined) return existing
    const fresh = { manifests: new Map(), tags: new Map(), blobs: new Map() }
    repositories.set(name, fresh)
    return fresh
  }
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  test.teardown(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const registry: PushableRegistry = {
    origin: new URL(`http://${host}`),
    host,
    requests: [],
    tokenRequests: [],
    repository,
    fault: () => undefined,
    onTag: () => undefined,
    uploads: new Map(),
    storage: undefined,
    tokenFault: undefined,
    extraHeaders: {},
  }
  const tokens = new Map<string, string[]>()

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url as string, registry.origin)
    if (url.pathname === '/token') return giveToken(request, url, response)
    const body = await buffer(request)
    const { authorization } = request.headers
    const seen = {
      method: request.method as string,
      path: url.pathname + url.search,
      authorization,
      headers: request.headers,
    }
    registry.requests.push(seen)
    const fault = registry.fault(seen)
    if (fault === 'cut before') return void request.socket.destroy()
    if (typeof fault === 'object') {
      response.writeHead(fault.status, fault.headers).end(fault.body ?? '')
      return
    }
    const reply = isAllowed(seen, url) ? handle(request.method as string, url, request, body) : unauthorized()
    if (fault === 'cut after') return void request.socket.destroy()
    send(response, request.method as string, reply, fault)
  }

  const giveToken = (request: IncomingMessage, url: URL, response: ServerResponse): void => {
    registry.tokenRequests.push(
      `${request.headers.authorization ?? 'anonymous'} ${url.searchParams.getAll('scope').join(' ')}`,
    )
    if (registry.tokenFault !== undefined)
      return void response
        .writeHead(registry.tokenFault.status, registry.tokenFault.headers)
        .end(registry.tokenFault.body)
    const token = randomUUID()
    tokens.set(`Bearer ${token}`, url.searchParams.getAll('scope'))
    response.end(JSON.stringify({ token, expires_in: tokenLife }))
  }

  const unauthorized = (): Reply => ({
    status: 401,
    headers: {
      'www-authenticate':
        login === 'basic' ? 'Basic realm="x"' : `Bearer realm="${registry.origin}token",service="fake"`,
    },
  })

  const isAllowed = ({ authorization = '', method }: FakeRequest, url: URL): boolean => {
    if (login === undefined) return true
    if (login === 'basic') return authorization.startsWith('Basic ')
    const scopes = tokens.get(authorization) ?? []
    const name = /^\/v2\/(.+?)\/(?:manifests|blobs)\//.exec(url.pathname)?.[1]
    const actions = method === 'GET' || method === 'HEAD' ? ['pull', 'pull,push'] : ['pull,push']
    const from = url.searchParams.get('from')
    if (from !== null && !scopes.includes(`repository:${from}:pull`)) return false
    return actions.some((action) => scopes.includes(`repository:${name}:${action}`))
  }

  const handle = (method: string, url: URL, request: IncomingMessage, body: Buffer): Reply => {
    const [, name = '', what, rest = ''] = /^\/v2\/(.+?)\/(manifests|blobs)\/(.*)$/.exec(url.pathname) ?? []
    const stored = repository(name)
    if (what === 'manifests')
      return method === 'PUT'
        ? putManifest(name, stored, rest, `${request.headers['content-type']}`, body)
        : getManifest(stored, rest)
    if (rest.startsWith('uploads/')) return upload(name, stored, method, url, request, body)
    return getBlob(stored, rest, request.headers.range)
  }

  const getManifest = ({ manifests, tags }: StoredRepository, reference: string): Reply => {
    const digest = tags.get(reference) ?? reference
    const manifest = manifests.get(digest)
    if (manifest === undefined) return failure(404, 'MANIFEST_UNKNOWN')
    const headers = { 'content-type': manifest.mediaType, 'docker-content-digest': digest }
    return { status: 200, headers, body: manifest.bytes }
  }

  const putManifest = (
    name: string,
    stored: StoredRepository,
    reference: string,
    mediaType: string,
    bytes: Buffer,
  ): Reply => {
    const digest = digestOf(bytes)
    if (reference.includes(':') && reference !== digest) return failure(400, 'DIGEST_INVALID')
    const { manifests = [], config, layers = [] } = JSON.parse(bytes.toString()) as FakeManifest
    if (manifests.some((child) => !stored.manifests.has(child.digest)))
      return failure(400, 'MANIFEST_INVALID')
    const blobs = [
      ...(config === undefined ? [] : [config]),
      ...layers.filter(({ urls }) => urls === undefined),
    ]
    if (blobs.some((blob) => !stored.blobs.has(blob.digest))) return failure(404, 'MANIFEST_BLOB_UNKNOWN')
    stored.manifests.set(digest, { mediaType, bytes })
    if (!reference.includes(':')) {
      const before = stored.tags.get(reference)
      stored.tags.set(reference, digest)
      registry.onTag(name, reference, digest, before)
    }
    return { status: 201, headers: { 'docker-content-digest': digest } }
  }

  const getBlob = ({ blobs }: StoredRepository, digest: string, range: string | undefined): Reply => {
    const bytes = blobs.get(digest)
    if (bytes === undefined) return failure(404, 'BLOB_UNKNOWN')
    if (registry.storage !== undefined)
      return { status: 302, headers: { location: new URL(`/${digest}`, registry.storage).href } }
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? NaN)
    if (Number.isNaN(start)) return { status: 200, headers: {}, body: bytes }
    const headers = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }
    return { status: 206, headers, body: bytes.subarray(start) }
  }

  const upload = (
    name: string,
    stored: StoredRepository,
    method: string,
    url: URL,
    request: IncomingMessage,
    body: Buffer,
  ): Reply => {
    const id = url.pathname.split('/').at(-1) as string
    const mount = url.searchParams.get('mount')
    const taken =
      mount === null ? undefined : repository(url.searchParams.get('from') as string).blobs.get(mount)
    if (method === 'POST' && mount !== null && taken !== undefined) {
      stored.blobs.set(mount, taken)
      return { status: 201, headers: {} }
    }
    if (method === 'POST') {
      const fresh = randomUUID()
      registry.uploads.set(fresh, Buffer.alloc(0))
      return { status: 202, headers: { location: `/v2/${name}/blobs/uploads/${fresh}?state=x` } }
    }
    const so = registry.uploads.get(id)
    if (so === undefined) return failure(404, 'BLOB_UPLOAD_UNKNOWN')
    const state = (bytes: Buffer) => ({
      location: `${registry.origin}v2/${name}/blobs/uploads/${id}?state=${bytes.length}`,
      range: `0-${Math.max(0, bytes.length - 1)}`,
    })
    if (method === 'GET') return { status: 204, headers: state(so) }
    if (method === 'DELETE') {
      registry.uploads.delete(id)
      return { status: 204, headers: {} }
    }
    if (method === 'PATCH') {
      const [start] = `${request.headers['content-range']}`.split('-')
      if (Number(start) !== so.length) return { status: 416, headers: state(so) }
      const grown = Buffer.concat([so, body])
      registry.uploads.set(id, grown)
      return { status: 202, headers: state(grown) }
    }
    const digest = url.searchParams.get('digest') as string
    if (digestOf(so) !== digest) return failure(400, 'DIGEST_INVALID')
    registry.uploads.delete(id)
    stored.blobs.set(digest, so)
    return { status: 201, headers: {} }
  }

  const send = (response: ServerResponse, method: string, reply: Reply, fault: Fault | undefined): void => {
    const { status, headers, body = Buffer.alloc(0) } = reply
    const length = body.length === 0 ? {} : { 'content-length': `${body.length}` }
    response.writeHead(status, { ...registry.extraHeaders, ...headers, ...length })
    if (method === 'HEAD') return void response.end()
    if (fault === 'no body') {
      response.flushHeaders()
      setTimeout(() => response.destroy(), 5)
      return
    }
    if (fault === 'half body' && body.length > 1) {
      response.write(body.subarray(0, body.length >> 1), () => response.destroy())
      return
    }
    if (fault !== 'wrong bytes') return void response.end(body)
    const wrong = Buffer.from(body)
    if (wrong.length > 0) wrong[wrong.length >> 1] = (wrong[wrong.length >> 1] as number) ^ 1
    response.end(wrong)
  }
  return registry
}

interface Reply {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body?: Buffer
}

interface FakeManifest {
  readonly manifests?: readonly { readonly digest: string }[]
  readonly config?: { readonly digest: string }
  readonly layers?: readonly { readonly digest: string; readonly urls?: readonly string[] }[]
}

const failure = (status: number, code: string): Reply => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: Buffer.from(JSON.stringify({ errors: [{ code, message: 'no' }] })),
})
