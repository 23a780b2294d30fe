/**
 * Pushes blobs to a repository: checks whether it has a blob, mounts blobs from other repositories, and uploads blobs in chunks that can be
 * resumed.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks
 */
import type { Digest } from '../../oci/digest.ts'
import { single } from '../../upstream/client/response-fields.ts'
import { discard } from './body.ts'
import { RegistryFailure } from './failure.ts'
import type { RegistryReply } from './registry-connection.ts'
import type { Repository } from './repository.ts'
import { scopeOf } from './tokens.ts'
import { hashFor, isDigestOf } from './verified.ts'

/** Bytes of a chunk. The chunk is buffered until the registry has it. Storage such as S3 wants 5 MiB at least. */
const defaultChunkBytes = 8 * 1024 * 1024
/** How often one chunk is tried without progress. */
const maxStalls = 5

export interface BlobUpload {
  readonly digest: Digest
  readonly size: number
  /** Every byte, in order. */
  readonly bytes: AsyncIterable<Buffer>
  readonly chunkBytes?: number
}

export const hasBlob = async (repository: Repository, digest: Digest): Promise<boolean> => {
  const reply = await repository.send('HEAD', `blobs/${digest}`)
  await discard(reply.body)
  if (reply.status === 404) return false
  repository.expect(reply, [200], `the blob ${digest}`)
  return true
}

/**
 * Mounts a blob from another repository of the same registry, so that no byte is transferred.
 * @returns false if the registry has not mounted it. It has begun an upload instead, which is cancelled
 */
export const mountBlob = async (repository: Repository, digest: Digest, from: string): Promise<boolean> => {
  const query = new URLSearchParams({ mount: digest, from })
  const reply = await repository.send('POST', `blobs/uploads/?${query}`, {
    scopes: [...repository.scopes, scopeOf(from, 'pull')],
    headers: { 'content-length': '0' },
  })
  await repository.accepted(reply, [201, 202], `a mount of ${digest}`)
  if (reply.status === 201) return true
  await cancel(repository, locationOf(repository, reply, undefined))
  return false
}

/** @throws {RegistryFailure} also if the bytes do not match the digest: nothing is committed then */
export const uploadBlob = async (repository: Repository, upload: BlobUpload): Promise<void> => {
  const { digest, size, bytes, chunkBytes = defaultChunkBytes } = upload
  const start = await repository.send('POST', 'blobs/uploads/', { headers: { 'content-length': '0' } })
  await repository.accepted(start, [202], `an upload of ${digest}`)
  let location = locationOf(repository, start, undefined)
  const hash = hashFor(digest)
  let sent = 0
  const least = Number(single(start.headers['oci-chunk-min-length']) ?? 0)
  for await (const chunk of inChunks(bytes, Math.max(chunkBytes, Math.min(least, maxChunkBytes)))) {
    hash.update(chunk)
    location = await sendChunk(repository, location, chunk, sent)
    sent += chunk.length
  }
  if (sent !== size || !isDigestOf(hash, digest)) {
    await cancel(repository, location)
    throw new RegistryFailure('broken', `the source sends other bytes than those of ${digest}`)
  }
  location.searchParams.set('digest', digest)
  const end = await repository.send('PUT', '', { url: location, headers: { 'content-length': '0' } })
  // If the answer to the first request was lost, its repetition finds no upload.
  if (end.status === 404 && (await hasBlob(repository, digest))) return await discard(end.body)
  await repository.accepted(end, [201, 204], `the blob ${digest}`)
}

/** Bytes. The largest OCI-Chunk-Min-Length that is followed. */
const maxChunkBytes = 64 * 1024 * 1024

async function* inChunks(bytes: AsyncIterable<Buffer>, length: number): AsyncGenerator<Buffer, void> {
  let pending: Buffer[] = []
  let pendingBytes = 0
  for await (const part of bytes) {
    pending.push(part)
    pendingBytes += part.length
    if (pendingBytes < length) continue
    yield Buffer.concat(pending)
    pending = []
    pendingBytes = 0
  }
  if (pendingBytes > 0) yield Buffer.concat(pending)
}

/** @param start offset of the chunk. @returns the offset of the next chunk */
const sendChunk = async (
  repository: Repository,
  location: URL,
  chunk: Buffer,
  start: number,
): Promise<URL> => {
  let at = start
  const end = start + chunk.length
  let url = location
  for (let stalls = 0; at < end; stalls++) {
    if (stalls > maxStalls)
      throw new RegistryFailure('transient', `${repository.label} takes no bytes of an upload any more`)
    const before = at
    const reply = await patch(repository, url, chunk.subarray(at - start), at)
    if (reply !== undefined) {
      url = locationOf(repository, reply, url)
      at = end
      continue
    }
    // A part of the chunk may have arrived.
    ;({ at, url } = await statusOf(repository, url))
    if (at < start || at > end)
      throw new RegistryFailure('broken', `${repository.label} has lost its place in an upload`)
    if (at > before) stalls = 0
  }
  return url
}

/** @returns undefined if the registry may have a part of the chunk */
const patch = async (
  repository: Repository,
  url: URL,
  body: Buffer,
  at: number,
): Promise<RegistryReply | undefined> => {
  const headers = {
    'content-type': 'application/octet-stream',
    'content-range': `${at}-${at + body.length - 1}`,
  }
  try {
    const reply = await repository.send('PATCH', '', { url, headers, body, isRepeatable: false })
    if (reply.status === 416) {
      await discard(reply.body)
      return undefined
    }
    await repository.accepted(reply, [202, 204], 'a chunk of an upload')
    return reply
  } catch (error) {
    if (error instanceof RegistryFailure && isPassing(error)) return undefined
    throw error
  }
}

const isPassing = ({ kind }: RegistryFailure): boolean => kind === 'transient' || kind === 'limited'

/** How many bytes of an upload have arrived. */
const statusOf = async (
  repository: Repository,
  location: URL,
): Promise<{ readonly at: number; readonly url: URL }> => {
  const reply = await repository.send('GET', '', { url: location })
  await repository.accepted(reply, [204, 200, 202], 'the state of an upload')
  const [, last] = /^(?:bytes=)?0-(\d{1,15})$/.exec(single(reply.headers['range']) ?? '') ?? []
  // `0-0` stands for nothing, and for one byte.
  const at = last === undefined || last === '0' ? 0 : Number(last) + 1
  return { at, url: locationOf(repository, reply, location) }
}

/** The URL of the next request of the upload. Attack: a Location on another host would get the token and the bytes. */
const locationOf = (repository: Repository, reply: RegistryReply, fallback: URL | undefined): URL => {
  const { origin } = repository.options.client
  const text = single(reply.headers['location'])
  const location = text === undefined ? (fallback ?? null) : URL.parse(text, origin)
  // A registry behind a proxy that ends TLS may write http into its URLs.
  if (location?.host === origin.host) location.protocol = origin.protocol
  if (location?.origin !== origin.origin)
    throw new RegistryFailure('broken', `${repository.label} does not say where an upload goes`)
  return location
}

const cancel = async (repository: Repository, location: URL): Promise<void> => {
  const reply = await repository
    .send('DELETE', '', { url: location, isRepeatable: false })
    .catch(() => undefined)
  if (reply !== undefined) await discard(reply.body)
}
