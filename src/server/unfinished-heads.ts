/**
 * The memory limit of unfinished request heads. Over the limit, connections with more than a fair share are cut.
 *
 * Attack: thousands of connections, each with 60 kB of a head that never ends.
 */
import type { Server, Socket } from 'node:net'
import { hasRequest } from './raw-socket.ts'

export interface UnfinishedHeadsOptions {
  /** Bytes of all unfinished heads together. */
  readonly maxHeadBytes: number
  /** Milliseconds between two checks: the limit is exceeded for so long at most. */
  readonly headSweepMs: number
  /** The network whose share the connection uses. */
  readonly holderOf: (socket: Socket) => string
  /** Called for each connection before it is cut. */
  readonly onConnectionCut: (socket: Socket) => void
}

export class UnfinishedHeads {
  readonly #options: UnfinishedHeadsOptions
  /** By connection: the bytes received up to the end of its last head. */
  readonly #readAt = new Map<Socket, number>()

  /** For the lifetime of the server. */
  constructor(server: Server, options: UnfinishedHeadsOptions) {
    this.#options = options
    const sweep = setInterval(() => this.#sweep(), options.headSweepMs).unref()
    server.once('close', () => clearInterval(sweep))
  }

  /** @param socket the socket of the requests */
  add(socket: Socket): void {
    this.#readAt.set(socket, socket.bytesRead)
    socket.once('close', () => this.#readAt.delete(socket))
  }

  /** Called when the head of a request is complete. */
  arrived(socket: Socket): void {
    // A connection that was dropped is not added again.
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

/**
 * Max-min fairness: the largest share per holder with which all fit into the limit. Holders that need less leave the rest to the others.
 */
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
