import { createHash } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'

type Descriptor = { digest: string }
type Document = { manifests?: Descriptor[]; config?: Descriptor; layers?: Descriptor[]; subject?: Descriptor }

const readIndex = async (directory: string) =>
  JSON.parse(await readFile(join(directory, 'index.json'), 'utf8')) as { manifests: Descriptor[] }

const readBlob = async (directory: string, digest: string) => {
  const bytes = await readFile(join(directory, 'blobs', digest.replace(':', '/')))
  const actual = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  if (actual !== digest) throw new Error(`${digest} holds ${actual}`)
  return bytes
}

/** The digests in an OCI layout, and the tagged one. */
export const readLayout = async (directory: string) => {
  const { manifests } = await readIndex(directory)
  const blobs = await readdir(join(directory, 'blobs', 'sha256'))
  return {
    tagged: manifests.map(({ digest }) => digest),
    blobs: blobs.map((hex) => `sha256:${hex}`).toSorted(),
  }
}

/**
 * The content of an image in an OCI layout: its manifests by digest, and the number of blobs that they name.
 *
 * @throws {Error} if one of them is missing, or has another digest
 */
export const readImage = async (
  directory: string,
  digest: string,
): Promise<{ manifests: string[]; blobs: number }> => {
  const {
    manifests = [],
    config,
    layers = [],
  } = JSON.parse((await readBlob(directory, digest)).toString()) as Document
  const blobs = [...(config ? [config] : []), ...layers]
  for (const blob of blobs) await readBlob(directory, blob.digest)
  const children = await Promise.all(manifests.map((child) => readImage(directory, child.digest)))
  return {
    manifests: [digest, ...children.flatMap((child) => child.manifests)],
    blobs: children.reduce((sum, child) => sum + child.blobs, blobs.length),
  }
}
