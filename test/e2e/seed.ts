import { createHash, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { run } from './process.ts'
import type { Registry } from './registry.ts'
import type { Account } from './token-realm.ts'

export type Descriptor = { mediaType: string; digest: string; size: number }
export type SeededImage = { manifest: string; config: string; layers: string[] }
export type Seeded = { tag: string; index: string; images: Record<string, SeededImage> }

const architectures = ['amd64', 'arm64'] as const
export const type = (name: string) => `application/vnd.oci.image.${name}`
export const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** The architecture of this machine, as in images. */
export const hostArchitecture = process.arch === 'x64' ? 'amd64' : process.arch

export const tarOf = (files: Record<string, Buffer>) => {
  const archive = pack()
  for (const [name, content] of Object.entries(files)) archive.entry({ name }, content)
  archive.finalize()
  return buffer(archive)
}

class Layout {
  readonly directory: string
  constructor(directory: string) {
    this.directory = directory
  }

  async create() {
    await mkdir(join(this.directory, 'blobs', 'sha256'), { recursive: true })
    await writeFile(join(this.directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  }

  async add(mediaType: string, content: Buffer | object): Promise<Descriptor> {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content))
    const digest = digestOf(bytes)
    await writeFile(join(this.directory, 'blobs', digest.replace(':', '/')), bytes)
    return { mediaType, digest, size: bytes.length }
  }

  async tag(name: string, index: Descriptor) {
    const entry = { ...index, annotations: { 'org.opencontainers.image.ref.name': name } }
    await writeFile(
      join(this.directory, 'index.json'),
      JSON.stringify({ schemaVersion: 2, manifests: [entry] }),
    )
  }
}

// A layer of random bytes, larger than any buffer on its path, so that it is streamed.
const layersOf = async (tag: string, architecture: string) => [
  await tarOf({ 'etc/image': Buffer.from(`${tag} for ${architecture}\n`) }),
  await tarOf({ 'usr/share/noise': randomBytes(3 * 1024 * 1024) }),
]

const addImage = async (layout: Layout, tag: string, architecture: string) => {
  const tars = await layersOf(tag, architecture)
  const layers: Descriptor[] = []
  for (const tar of tars)
    layers.push(await layout.add(type('layer.v1.tar+gzip'), gzipSync(tar, { level: 1 })))
  const config = await layout.add(type('config.v1+json'), {
    created: '2024-06-03T23:54:01Z',
    architecture,
    os: 'linux',
    config: { Labels: { 'io.openshift.qci.tag': tag } },
    rootfs: { type: 'layers', diff_ids: tars.map(digestOf) },
  })
  const manifest = await layout.add(type('manifest.v1+json'), {
    schemaVersion: 2,
    mediaType: type('manifest.v1+json'),
    config,
    layers,
  })
  const image = {
    manifest: manifest.digest,
    config: config.digest,
    layers: layers.map(({ digest }) => digest),
  }
  return { image, descriptor: { ...manifest, platform: { architecture, os: 'linux' } } }
}

/** Writes an index of several platforms as an OCI layout with nothing else. */
export const buildLayout = async (directory: string, tag: string): Promise<Seeded> => {
  const layout = new Layout(directory)
  await layout.create()
  const images: Record<string, SeededImage> = {}
  const manifests: Descriptor[] = []
  for (const architecture of architectures) {
    const { image, descriptor } = await addImage(layout, tag, architecture)
    images[architecture] = image
    manifests.push(descriptor)
  }
  const index = await layout.add(type('index.v1+json'), {
    schemaVersion: 2,
    mediaType: type('index.v1+json'),
    manifests,
  })
  await layout.tag(tag, index)
  return { tag, index: index.digest, images }
}

/** Builds an image for each tag and pushes it directly to the registry, as promotion jobs do. */
export const seed = async (
  directory: string,
  registry: Pick<Registry, 'host'>,
  account: Account,
  repository: string,
  tags: readonly string[],
): Promise<Map<string, Seeded>> => {
  const policy = join(directory, 'policy.json')
  await writeFile(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }))
  const seeded = new Map<string, Seeded>()
  for (const tag of tags) {
    const layout = join(directory, `layout-${tag}`)
    seeded.set(tag, await buildLayout(layout, tag))
    const copied = await run('skopeo', [
      `--policy=${policy}`,
      ...'copy --all --preserve-digests --dest-tls-verify=false'.split(' '),
      `--dest-creds=${account.username}:${account.password}`,
      `oci:${layout}:${tag}`,
      `docker://${registry.host}/${repository}:${tag}`,
    ])
    if (copied.code !== 0) throw new Error(`seeding ${tag}: ${copied.output}`)
  }
  return seeded
}
