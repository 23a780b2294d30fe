/**
 * A pull as clients do it: ping, challenge, realm, index, manifests, configs and layers, each digest checked. It shows that a
 * registry works with nothing but Node, and is a client that tests can count.
 */
import { createHash } from 'node:crypto'
import { commandUserAgent } from '../config/version.ts'

export interface PullOptions {
  /** `http://127.0.0.1:8400` */
  readonly registry: string
  /** `ocp/4.5` */
  readonly repository: string
  /** Tag or digest. */
  readonly reference: string
  readonly username: string
  readonly password: string
  /** Blobs fetched at a time. Default: podman's number. */
  readonly parallel?: number
  /** One line for each complete manifest or blob. */
  readonly onProgress?: (line: string) => void
}

export interface Pulled {
  readonly digest: string
  readonly platforms: readonly string[]
  readonly blobs: number
  readonly bytes: number
}

/** The registry did not answer with the requested content. The message is that of the registry. */
export class PullError extends Error {
  override readonly name = 'PullError'
  readonly status: number

  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

interface Descriptor {
  readonly digest: string
  readonly mediaType: string
  readonly size: number
  readonly platform?: { readonly os: string; readonly architecture: string }
}
interface Manifest {
  readonly manifests?: readonly Descriptor[]
  readonly config?: Descriptor
  readonly layers?: readonly Descriptor[]
}

/** As containers/image sends it: one type in each line. */
const accept = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.index.v1+json',
].join(', ')

/** How the tour names itself in the log of the proxy. */
export const named = { 'user-agent': commandUserAgent('sandbox') } as const

/** @throws {PullError} with the registry's own message */
export const pull = async (options: PullOptions): Promise<Pulled> => {
  const { registry, repository, reference, parallel = 6, onProgress = () => undefined } = options
  const authorization = `Bearer ${await logIn(options)}`
  const get = async (kind: 'manifests' | 'blobs', name: string): Promise<Buffer> => {
    const url = `${registry}/v2/${repository}/${kind}/${name}`
    const response = await fetch(url, {
      headers: { ...named, authorization, ...(kind === 'manifests' ? { accept } : {}) },
    })
    const body = await bodyOf(response)
    const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`
    const expected = name.includes(':') ? name : response.headers.get('docker-content-digest')
    if (digest !== expected)
      throw new PullError(`${name}: ${digest} arrived, ${expected} was announced`, response.status)
    onProgress(`${kind === 'manifests' ? 'manifest' : 'blob    '}  ${digest}  ${body.length} bytes`)
    return body
  }

  const top = await get('manifests', reference)
  const index = JSON.parse(top.toString()) as Manifest
  const children = index.manifests ?? []
  const manifests =
    index.manifests === undefined
      ? [index]
      : await Promise.all(children.map(async ({ digest }) => parse(await get('manifests', digest))))
  const wanted = new Set(
    manifests
      .flatMap(({ config, layers = [] }) => (config === undefined ? layers : [config, ...layers]))
      .map(({ digest }) => digest),
  )
  const queue = [...wanted]
  let bytes = 0
  const worker = async () => {
    for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
      const { length } = await get('blobs', digest)
      bytes += length
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  return {
    digest: `sha256:${createHash('sha256').update(top).digest('hex')}`,
    platforms: children.map(({ platform }) => `${platform?.os}/${platform?.architecture}`),
    blobs: wanted.size,
    bytes,
  }
}

const parse = (body: Buffer): Manifest => JSON.parse(body.toString()) as Manifest

const logIn = async ({ registry, username, password }: PullOptions): Promise<string> => {
  const ping = await fetch(`${registry}/v2/`, { headers: named })
  const challenge = ping.headers.get('www-authenticate') ?? ''
  await ping.body?.cancel()
  const [, realm = '', service = ''] = /^Bearer realm="([^"]+)",service="([^"]+)"$/.exec(challenge) ?? []
  if (ping.status !== 401 || realm === '')
    throw new PullError(`no challenge: ${ping.status} ${challenge}`, ping.status)
  const basic = Buffer.from(`${username}:${password}`).toString('base64')
  const url = `${realm}?${new URLSearchParams({ account: username, service })}`
  const body = await bodyOf(await fetch(url, { headers: { ...named, authorization: `Basic ${basic}` } }))
  return (JSON.parse(body.toString()) as { token: string }).token
}

const bodyOf = async (response: Response): Promise<Buffer> => {
  const body = Buffer.from(await response.arrayBuffer())
  if (response.ok) return body
  throw new PullError(`${response.status} ${reasonOf(body.toString())}`, response.status)
}

/** The first OCI error of a body, or else the whole body, because a proxy in between may have answered. */
const reasonOf = (body: string): string => {
  try {
    const { errors } = JSON.parse(body) as { errors: readonly [{ code: string; message: string }] }
    return `${errors[0].code}: ${errors[0].message}`
  } catch {
    return body
  }
}
