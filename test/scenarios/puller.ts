/**
 * A client that pulls whole images, checks every digest, and retries what podman would retry. It counts its retries.
 */
import { createHash } from 'node:crypto'
import { Agent, request } from 'undici'

export interface PullerOptions {
  readonly url: string
  readonly token: string
  /** Connections to the proxy. */
  readonly connections: number
}

export interface Puller {
  /** Pulls the manifest by tag, its config and its layers. @returns their bytes @throws {Error} if one of them failed in all attempts */
  readonly pull: (repository: string, tag: string) => Promise<number>
  /** Retries by reason: `blob: wrong digest` -> 3. */
  readonly retries: ReadonlyMap<string, number>
  readonly close: () => Promise<void>
}

/** containers/common pkg/retry: three attempts after the first. */
const tries = 4

const accept = 'application/vnd.oci.image.manifest.v1+json'

export const createPuller = ({ url, token, connections }: PullerOptions): Puller => {
  const dispatcher = new Agent({ connections })
  const retries = new Map<string, number>()
  const headers = { authorization: `Bearer ${token}`, accept }

  const getOnce = async (path: string): Promise<Buffer> => {
    const response = await request(`${url}/v2/${path}`, { dispatcher, headers })
    const body = Buffer.from(await response.body.arrayBuffer())
    if (response.statusCode !== 200)
      throw new Error(`status ${response.statusCode} ${body.toString('utf8', 0, 200)}`)
    const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`
    if (digest !== response.headers['docker-content-digest']) throw new Error('wrong digest')
    return body
  }

  const get = async (kind: 'manifest' | 'blob', path: string): Promise<Buffer> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await getOnce(path)
      } catch (error) {
        const { message, code } = error as Error & { code?: string }
        const reason = `${kind}: ${code ?? message}`
        if (attempt === tries) throw new Error(`${path} ${reason}`, { cause: error })
        retries.set(reason, (retries.get(reason) ?? 0) + 1)
      }
    }
  }

  return {
    retries,
    close: async () => await dispatcher.close(),
    pull: async (repository, tag) => {
      const manifest = await get('manifest', `${repository}/manifests/${tag}`)
      const { config, layers } = JSON.parse(manifest.toString()) as {
        config: { digest: string }
        layers: readonly { digest: string }[]
      }
      const blobs = await Promise.all(
        [config, ...layers].map(async ({ digest }) => await get('blob', `${repository}/blobs/${digest}`)),
      )
      return blobs.reduce((sum, { length }) => sum + length, manifest.length)
    },
  }
}
