/**
 * A small body is written together with the head of its response. Node.js writes a head and a Buffer as two parts (`writev`). As one
 * string, they make the response of a cached manifest a tenth cheaper.
 */
import { ServerResponse, type IncomingMessage } from 'node:http'

/** Bytes. A larger body is not worth the copy. */
const smallBody = 16 * 1024

export class SingleWriteResponse<
  Request extends IncomingMessage = IncomingMessage,
> extends ServerResponse<Request> {
  override end(callback?: () => void): this
  override end(chunk: unknown, callback?: () => void): this
  override end(chunk: unknown, encoding: BufferEncoding, callback?: () => void): this
  override end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
    // Latin-1 is the encoding of heads in Node.js. It maps each byte to one character, so every body passes through unchanged.
    if (!Buffer.isBuffer(chunk) || chunk.length > smallBody)
      return super.end(chunk, encoding as BufferEncoding, callback as () => void)
    const done = typeof encoding === 'function' ? encoding : callback
    return super.end(chunk.toString('latin1'), 'latin1', done as () => void)
  }
}
