/**
 * A bound on the memory of heads that have not arrived whole: those whose share is above what everybody may have are cut.
 *
 * Attack: thousands of connections, each with 60 kB of a head that never ends.
 */
import type { Server, Socket } from 'node:net'
import { hasRequest } from './raw-socket.ts'

export interface UnfinishedHeadsOptions {
  /** Bytes of all of them together. */
  readonly maxHeadBytes: number
  /** Milliseconds between two looks: what comes in between is above the bound at most for so long. */
  readonly headSweepMs: number
  /** Whose share a connection uses up. */
  readonly holderOf: (socket: Socket) => string
  /** Called for each connection that is cut, before it is. */
  readonly onConnectionCut: (socket: Socket) => void
}

export class UnfinishedHeads {
  readonly #options: UnfinishedHeadsOptions
  /** By connection, the bytes that had come when its last head was whole. */
  readonly #readAt = new Map<Socket, number>()

  /** For as long as the server is open. */
  constructor(server: Server, options: UnfinishedHeadsOptions) {
    this.#options = options
    const sweep = setInterval(() => this.#sweep(), options.headSweepMs).unref()
    server.once('close', () => clearInterval(sweep))
  }

  /** @param socket what requests come on */
  add(socket: Socket): void {
    this.#readAt.set(socket, socket.bytesRead)
    socket.once('close', () => this.#readAt.delete(socket))
  }

  /** The head of a request is whole. */
  arrived(socket: Socket): void {
    // One that was let go is not taken up again.
    if (this.#readAt.has(socket)) this.#readAt.set(socket, socket.bytesRead)
  }

  #sweep(): void {
    const holders = new Map<string, Head[]>()
    let total = 0
    for (const [socket, readAt] of this.#readAt) {
      const bytes = hasRequest(socket) ? 0 : socket.bytesRead - readAt
      if (bytes === 0) continue
      total += bytes
      const holder = this.#options.holderOf(socket)
      const heads = holders.get(holder)
      if (heads === undefined) holders.set(holder, [{ socket, bytes }])
      else heads.push({ socket, bytes })
    }
    if (total > this.#options.maxHeadBytes) this.#cut([...holders.values()])
  }

  #cut(holders: readonly (readonly Head[])[]): void {
    const share = fairShare(holders.map(sumOf), this.#options.maxHeadBytes)
    for (const heads of holders) {
      let held = sumOf(heads)
      for (const { socket, bytes } of heads.toSorted((a, b) => b.bytes - a.bytes)) {
        if (held <= share) break
        held -= bytes
        this.#options.onConnectionCut(socket)
        socket.destroy()
      }
    }
  }
}

interface Head {
  readonly socket: Socket
  readonly bytes: number
}

const sumOf = (heads: readonly Head[]): number => heads.reduce((sum, { bytes }) => sum + bytes, 0)

/** The most that each may have so that all have the bound together: who needs less than an equal part leaves it to the others. */
export const fairShare = (needs: readonly number[], bound: number): number => {
  let left = bound
  let others = needs.length
  for (const need of needs.toSorted((a, b) => a - b)) {
    if (need > left / others) return left / others
    left -= need
    others -= 1
  }
  return Infinity
}
