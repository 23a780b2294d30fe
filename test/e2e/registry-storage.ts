/**
 * The files of Debian's docker-registry, written directly: a push of a thousand images takes minutes, and their files seconds.
 * @see https://github.com/distribution/distribution/blob/main/registry/storage/paths.go
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImageForm } from './production-mirror.ts'

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

export class RegistryStorage {
  readonly #root: string

  /** @param directory `rootdirectory` of the registry */
  constructor(directory: string) {
    this.#root = join(directory, 'docker/registry/v2')
  }

  /** Of a repository. */
  async blob(repository: string, bytes: Buffer, mediaType: string): Promise<Descriptor> {
    const hex = await this.#data(bytes)
    await this.#link(`repositories/${repository}/_layers/sha256/${hex}/link`, hex)
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length }
  }

  /** With spaces of its own: bytes that are written anew would have another digest. */
  async manifest(repository: string, mediaType: string, content: object): Promise<Descriptor> {
    const bytes = Buffer.from(`${JSON.stringify({ schemaVersion: 2, mediaType, ...content }, null, 3)}\n`)
    const hex = await this.#data(bytes)
    await this.#link(`repositories/${repository}/_manifests/revisions/sha256/${hex}/link`, hex)
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length }
  }

  async tag(repository: string, tag: string, { digest }: Pick<Descriptor, 'digest'>): Promise<void> {
    const hex = digest.slice('sha256:'.length)
    const folder = `repositories/${repository}/_manifests/tags/${tag}`
    await this.#link(`${folder}/current/link`, hex)
    await this.#link(`${folder}/index/sha256/${hex}/link`, hex)
  }

  async #data(bytes: Buffer): Promise<string> {
    const hex = sha256(bytes)
    await this.#write(`blobs/sha256/${hex.slice(0, 2)}/${hex}/data`, bytes)
    return hex
  }

  async #link(path: string, hex: string): Promise<void> {
    await this.#write(path, `sha256:${hex}`)
  }

  async #write(path: string, content: Buffer | string): Promise<void> {
    const file = join(this.#root, path)
    await mkdir(join(file, '..'), { recursive: true })
    await writeFile(file, content)
  }
}

const oci = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  index: 'application/vnd.oci.image.index.v1+json',
}
const docker = {
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  config: 'application/vnd.docker.container.image.v1+json',
  layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  index: 'application/vnd.docker.distribution.manifest.list.v2+json',
}
type Types = typeof oci

/** Most images share their lowest layer. */
const base = randomBytes(2000)

interface Platform {
  readonly os: string
  readonly architecture: string
  readonly 'os.version'?: string
}
const linux = (architecture: string): Platform => ({ os: 'linux', architecture })
const windows = (version: string): Platform => ({
  os: 'windows',
  architecture: 'amd64',
  'os.version': version,
})

/** One image of a form, with a tag. @returns its digest */
export const storeImage = async (
  storage: RegistryStorage,
  { repository, tag, form }: { readonly repository: string; readonly tag: string; readonly form: ImageForm },
  layerBytes = 500,
): Promise<string> => {
  const single = async (types: Types, platform: Platform, foreign: readonly object[] = []) => {
    // diff ids that match nothing: whoever copies bytes does not look at them
    const config = Buffer.from(
      JSON.stringify({
        ...platform,
        rootfs: { type: 'layers', diff_ids: [] },
        n: randomBytes(8).toString('hex'),
      }),
    )
    const layers = [base, randomBytes(layerBytes)].map(
      async (bytes) => await storage.blob(repository, bytes, types.layer),
    )
    return await storage.manifest(repository, types.manifest, {
      config: await storage.blob(repository, config, types.config),
      layers: [...foreign, ...(await Promise.all(layers))],
    })
  }
  const list = async (types: Types, platforms: readonly Platform[], nested: readonly object[] = []) => {
    const manifests: object[] = [...nested]
    for (const platform of platforms) manifests.push({ ...(await single(types, platform)), platform })
    return await storage.manifest(repository, types.index, { manifests })
  }
  const make: Readonly<Record<ImageForm, () => Promise<Descriptor>>> = {
    oci: async () => await single(oci, linux('amd64')),
    docker: async () => await single(docker, linux('amd64')),
    index: async () =>
      await list(oci, [linux('amd64'), linux('arm64'), { os: 'unknown', architecture: 'unknown' }]),
    list: async () => await list(docker, [linux('amd64'), linux('s390x'), linux('ppc64le')]),
    'windows list': async () => await list(docker, [windows('10.0.17763.1'), windows('10.0.20348.1')]),
    'nested index': async () => await list(oci, [linux('amd64')], [await list(oci, [linux('arm64')])]),
    'foreign layer': async () =>
      await single(docker, windows('10.0.20348.1'), [
        {
          mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
          size: 1234,
          digest: `sha256:${sha256(Buffer.from('of Microsoft'))}`,
          urls: ['https://mcr.microsoft.com/v2/windows/servercore/blobs/x'],
        },
      ]),
  }
  const image = await make[form]()
  await storage.tag(repository, tag, image)
  return image.digest
}
