/**
 * Many clients that each read a large blob slowly. A program of its own. It prints a line when all have begun, and its report on SIGTERM.
 * It compares the bytes of each client with the file, so that a byte of another client's stream would be found.
 */
import { openSync, readSync } from 'node:fs'
import { connect, type Socket } from 'node:net'

export interface SlowReadersInput {
  readonly port: number
  readonly path: string
  readonly token: string
  /** The file of the blob. */
  readonly file: string
  readonly count: number
}

export interface SlowReadersReport {
  /** Readers that have begun. */
  readonly begun: number
  /** Readers that were cut, or got another answer. */
  readonly broken: number
  /** Readers that got a wrong byte. */
  readonly wrong: number
  /** Bytes that the slowest and the fastest client have read. */
  readonly least: number
  readonly most: number
}

/** Bytes that a client reads each quarter of a second: 20 kB/s. */
const pieceBytes = 5000
const intervalMs = 250
/** Bytes. No reader gets further in its minutes. */
const knownBytes = 16_000_000

const input = JSON.parse(process.env['BENCH_INPUT'] ?? '{}') as SlowReadersInput
const known = Buffer.alloc(knownBytes)
const knownLength = readSync(openSync(input.file, 'r'), known, 0, knownBytes, 0)

interface Reader {
  readonly socket: Socket
  read: number
  wrong: boolean
  broken: boolean
}

// One buffer for all: the bytes are compared and dropped.
const piece = Buffer.alloc(pieceBytes)

const open = (): Reader => {
  let head = ''
  const take = (bytes: Buffer): void => {
    const expected = known.subarray(reader.read, reader.read + bytes.length)
    if (reader.read + bytes.length <= knownLength && !bytes.equals(expected)) reader.wrong = true
    reader.read += bytes.length
  }
  const callback = (length: number): boolean => {
    const bytes = piece.subarray(0, length)
    if (head.includes('\r\n\r\n')) take(bytes)
    else {
      const before = head.length
      head += bytes.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end !== -1) take(bytes.subarray(end + 4 - before))
      if (end !== -1 && !head.startsWith('HTTP/1.1 200 ')) reader.broken = true
    }
    // Nothing more until the next tick.
    return false
  }
  const socket = connect({ host: '127.0.0.1', port: input.port, onread: { buffer: piece, callback } })
  const reader: Reader = { socket, read: 0, wrong: false, broken: false }
  socket.on('error', () => undefined)
  socket.once('close', () => (reader.broken = true))
  socket.write(`GET ${input.path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${input.token}\r\n\r\n`)
  return reader
}

const readers = Array.from({ length: input.count }, open)

const tell = (): void => {
  const read = readers.map((reader) => reader.read)
  const report: SlowReadersReport = {
    begun: readers.filter((reader) => reader.read > 0).length,
    broken: readers.filter((reader) => reader.broken).length,
    wrong: readers.filter((reader) => reader.wrong).length,
    least: Math.min(...read),
    most: Math.max(...read),
  }
  process.stdout.write(`${JSON.stringify(report)}\n`)
}

let told = false
setInterval(() => {
  for (const { socket } of readers) socket.resume()
  if (told || !readers.every(({ read, broken }) => read > 0 || broken)) return
  told = true
  tell()
}, intervalMs)

process.once('SIGTERM', () => {
  tell()
  process.exit(0)
})
