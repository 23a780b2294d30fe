/** Layers of made-up images: their content follows from a seed, so digests are the same in every run. */
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { pack } from 'tar-stream'

export type Digest = `sha256:${string}`

/** One gzip'd tar. `digest` names the compressed bytes, `diffId` the tar inside, as rootfs.diff_ids of a config wants it. */
export interface Layer {
  readonly digest: Digest
  readonly diffId: Digest
  readonly body: Buffer
}

/** All content has the same date, so that its digests never change. */
export const builtAt = new Date('2024-06-03T23:54:01Z')

const compress = promisify(gzip)

export const digestOf = (bytes: Buffer): Digest =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/**
 * A layer with one file of `bytes` bytes. The content follows from `seed` alone and does not compress, so the
 * layer on the wire is about as large as `bytes`.
 */
export const buildLayer = async (seed: string, bytes: number): Promise<Layer> => {
  const file = createHash('shake256', { outputLength: bytes }).update(seed).digest()
  const tar = pack()
  const folders = ['opt/', 'opt/quay-proxy/']
  for (const name of folders) tar.entry({ name, type: 'directory', mode: 0o755, mtime: builtAt })
  const name = `opt/quay-proxy/${digestOf(Buffer.from(seed)).slice(7, 19)}`
  tar.entry({ name, mode: 0o644, mtime: builtAt }, file)
  tar.finalize()
  const unpacked = await buffer(tar)
  const body = await compress(unpacked, { level: 1 })
  return { digest: digestOf(body), diffId: digestOf(unpacked), body }
}
