/**
 * Reads the bytes of a blob in order. If the stream breaks off, it is resumed at the next byte.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.4
 */
import type { Digest } from '../../oci/digest.ts'
import { single } from '../../upstream/client/response-fields.ts'
import { abandon } from './body.ts'
import { RegistryFailure } from './failure.ts'
import type { RegistryReply } from './registry-connection.ts'
import type { Repository } from './repository.ts'

/** Breaks in a row without progress in between. Attack: a byte for each connection is no progress. */
const maxBreaks = 5
const progressBytes = 64 * 1024

/** Attack: a source that sends a byte now and then would keep one of the copies busy for ever. Bytes for each millisecond of waiting. */
const slowest = { bytesPerMs: 16, afterMs: 60_000 }

/**
 * @param size bytes of the blob, as its manifest says
 * @param now milliseconds, monotonic
 * @throws {RegistryFailure} also if the source is very slow
 */
export async function* readBlob(
  repository: Repository,
  digest: Digest,
  size: number,
  now: () => number = () => performance.now(),
): AsyncGenerator<Buffer, void> {
  let at = 0
  // Only for the source: the time in which the target takes the bytes does not count.
  let waited = 0
  for (let breaks = 0; at < size; breaks++) {
    const reply = await open(repository, digest, at)
    const before = at
    let since = now()
    try {
      for await (const chunk of reply.body as AsyncIterable<Buffer>) {
        at += chunk.length
        waited += now() - since
        if (at < size && waited > slowest.afterMs && at < waited * slowest.bytesPerMs)
          throw new RegistryFailure('transient', `${repository.label} sends ${digest} too slowly`)
        if (at > size)
          throw new RegistryFailure(
            'broken',
            `${repository.label} sends more of ${digest} than ${size} bytes`,
          )
        yield chunk
        since = now()
      }
    } catch (error) {
      if (error instanceof RegistryFailure || repository.options.signal?.aborted === true) throw error
    }
    if (at - before >= progressBytes) breaks = 0
    if (at < size && breaks >= maxBreaks)
      throw new RegistryFailure('transient', `${repository.label} breaks off ${digest} again and again`)
  }
}

const open = async (repository: Repository, digest: Digest, at: number): Promise<RegistryReply> => {
  const range = at === 0 ? {} : { range: `bytes=${at}-` }
  const reply = await repository.send('GET', `blobs/${digest}`, {
    headers: { ...range, 'accept-encoding': 'identity' },
  })
  repository.expect(reply, at === 0 ? [200] : [206], `the blob ${digest}`)
  const start = single(reply.headers['content-range'])
  // Attack: bytes of another range would follow the first half. The digest would show it, but only after gigabytes.
  if (at > 0 && start?.startsWith(`bytes ${at}-`) !== true) {
    abandon(reply.body)
    throw new RegistryFailure(
      'broken',
      `${repository.label} does not go on with ${digest} where it broke off`,
    )
  }
  return reply
}
