/** Pushes small images directly to the registry, as promotion jobs do: over HTTP, because a process for each image is slow. */
import { gzipSync } from 'node:zlib'
import type { Registry } from './registry.ts'
import { digestOf, hostArchitecture, tarOf, type, type Descriptor } from './seed.ts'
import type { Account } from './token-realm.ts'

/** A layer, and the digest of its uncompressed bytes. */
export type Layer = { descriptor: Descriptor; diffId: string }
/** The digests of the index, of its manifest, and of the layer that no other image has. */
export type Promoted = { tag: string; digest: string; child: string; own: string }

export type Promotion = {
  layer: (files: Record<string, Buffer>) => Promise<Layer>
  /** An index with one platform: a layer of its own on top of the base. */
  image: (tag: string, base: Layer) => Promise<Promoted>
}

const loginAt = async ({ url }: Pick<Registry, 'url'>, account: Account, repository: string) => {
  const basic = Buffer.from(`${account.username}:${account.password}`).toString('base64')
  const realm = `${url}/v2/auth?service=quay.test&scope=repository:${repository}:pull,push`
  const response = await fetch(realm, { headers: { authorization: `Basic ${basic}` } })
  const { token } = (await response.json()) as { token: string }
  return { authorization: `Bearer ${token}` }
}

export const createPromotion = async (
  registry: Pick<Registry, 'url'>,
  account: Account,
  repository: string,
): Promise<Promotion> => {
  const login = await loginAt(registry, account, repository)
  const base = `${registry.url}/v2/${repository}`

  const created = async (method: string, url: string, body?: Buffer, mediaType?: string) => {
    const contentType = mediaType === undefined ? {} : { 'content-type': mediaType }
    const response = await fetch(url, {
      method,
      headers: { ...login, ...contentType },
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`)
    await response.body?.cancel()
    return response
  }

  const blob = async (mediaType: string, bytes: Buffer): Promise<Descriptor> => {
    const digest = digestOf(bytes)
    const begun = await created('POST', `${base}/blobs/uploads/`)
    const location = new URL(begun.headers.get('location')!, registry.url)
    location.searchParams.set('digest', digest)
    await created('PUT', location.href, bytes, 'application/octet-stream')
    return { mediaType, digest, size: bytes.length }
  }
  const manifest = async (reference: string | undefined, mediaType: string, document: object) => {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document }))
    const digest = digestOf(bytes)
    await created('PUT', `${base}/manifests/${reference ?? digest}`, bytes, mediaType)
    return { mediaType, digest, size: bytes.length }
  }
  const layer = async (files: Record<string, Buffer>): Promise<Layer> => {
    const tar = await tarOf(files)
    return {
      descriptor: await blob(type('layer.v1.tar+gzip'), gzipSync(tar, { level: 1 })),
      diffId: digestOf(tar),
    }
  }
  return {
    layer,
    image: async (tag, below) => {
      const own = await layer({ [`etc/${tag}`]: Buffer.from(`${tag}\n`) })
      const platform = { architecture: hostArchitecture, os: 'linux' }
      const layers = [below, own]
      const config = await blob(
        type('config.v1+json'),
        Buffer.from(
          JSON.stringify({
            ...platform,
            config: { Labels: { 'io.openshift.qci.tag': tag } },
            rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
          }),
        ),
      )
      const child = await manifest(undefined, type('manifest.v1+json'), {
        config,
        layers: layers.map(({ descriptor }) => descriptor),
      })
      const { digest } = await manifest(tag, type('index.v1+json'), { manifests: [{ ...child, platform }] })
      return { tag, digest, child: child.digest, own: own.descriptor.digest }
    },
  }
}
