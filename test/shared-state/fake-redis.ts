/**
 * A store in this process that speaks RESP2 over a socket: the commands that shared state uses, its scripts by their meaning (the end-to-end
 * test runs the real ones), and what can go wrong with a store.
 */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import * as scripts from '../../src/shared-state/scripts.ts'
import { createDatabase, Failure, type Database, type Value } from './fake-database.ts'

export interface FakeRedis {
  readonly url: URL
  readonly database: Database
  /** How often each command was asked, by its name; of EVAL by the name of the script. */
  readonly asked: Map<string, number>
  /** Connections are taken, and answers wait until `speak`: as of a process that is stopped. */
  readonly hush: () => void
  readonly speak: () => void
  /** Each write (`OOM`) or each command at all is refused with this code; undefined ends it. */
  readonly refuse: (code: string | undefined) => void
  /** Answers commands of this name itself, until it is given undefined. */
  readonly answer: (name: string, value: Value | undefined) => void
  readonly drop: () => void
  /** Everything is forgotten. */
  readonly wipe: () => void
  readonly connections: () => number
  readonly close: () => Promise<void>
}

const scriptNames = new Map(Object.entries(scripts).map(([name, { lua }]) => [lua, name]))
/** Those that a store that is full still runs. */
const reading = new Set([
  'openScript',
  'readScript',
  'beatScript',
  'readIndexScript',
  'HSCAN',
  'XREAD',
  'AUTH',
  'ZREM',
])

export const startFakeRedis = async ({
  password,
}: { readonly password?: string } = {}): Promise<FakeRedis> => {
  const sockets = new Set<Socket>()
  const asked = new Map<string, number>()
  const answers = new Map<string, Value>()
  const database = createDatabase()
  /** Answers wait for it. */
  let speech = Promise.withResolvers<void>()
  speech.resolve()
  let refusal: string | undefined

  const run = async (
    args: readonly Buffer[],
    login: { isIn: boolean },
    signal: AbortSignal,
  ): Promise<Value> => {
    const command = args[0]!.toString().toUpperCase()
    const rest = args.slice(1)
    const name = command === 'EVAL' ? (scriptNames.get(rest[0]!.toString()) ?? command) : command
    asked.set(name, (asked.get(name) ?? 0) + 1)
    const own = answers.get(name)
    if (own !== undefined) return own
    if (command === 'AUTH') {
      if (rest.at(-1)!.toString() !== password) return new Failure(`WRONGPASS invalid ${rest.join(' ')}`)
      login.isIn = true
      return 'OK'
    }
    if (!login.isIn) return new Failure('NOAUTH Authentication required.')
    const isFull = refusal === 'OOM'
    if (refusal !== undefined && !(isFull && reading.has(name))) return new Failure(`${refusal} no`)
    if (command !== 'EVAL') return await database.command(command, rest, signal)
    const count = Number(rest[1])
    const keys = rest.slice(2, 2 + count).map(String)
    return database.script(name, keys, rest.slice(2 + count), isFull)
  }

  const server = createServer((socket) => {
    sockets.add(socket)
    const left = new AbortController()
    socket
      .on('error', () => undefined)
      .on('close', () => {
        sockets.delete(socket)
        left.abort()
      })
    const login = { isIn: password === undefined }
    let input: Buffer = Buffer.alloc(0)
    let turn = Promise.resolve()
    socket.on('data', (chunk: Buffer) => {
      input = Buffer.concat([input, chunk])
      for (let read = readCommand(input); read !== undefined; read = readCommand(input)) {
        input = input.subarray(read.end)
        const { args } = read
        const before = turn
        const answer = async (): Promise<void> => {
          await before
          const reply = await run(args, login, left.signal)
          await speech.promise
          if (!socket.destroyed) socket.write(encode(reply))
        }
        turn = answer()
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const drop = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: new URL(`redis://127.0.0.1:${port}`),
    database,
    asked,
    hush: () => (speech = Promise.withResolvers<void>()),
    speak: () => speech.resolve(),
    refuse: (code) => (refusal = code),
    answer: (name, value) => void (value === undefined ? answers.delete(name) : answers.set(name, value)),
    drop,
    wipe: () => database.wipe(),
    connections: () => sockets.size,
    close: async () => {
      speech.resolve()
      drop()
      server.close()
      if (server.listening) await once(server, 'close')
    },
  }
}

/** An array of bulk strings from the beginning of the bytes; undefined where it is not whole. */
const readCommand = (
  bytes: Buffer,
): { readonly args: readonly Buffer[]; readonly end: number } | undefined => {
  let at = 0
  const line = (): string | undefined => {
    const end = bytes.indexOf('\r\n', at)
    if (end === -1) return undefined
    const text = bytes.toString('latin1', at + 1, end)
    at = end + 2
    return text
  }
  const count = line()
  if (count === undefined) return undefined
  const args: Buffer[] = []
  for (let index = 0; index < Number(count); index += 1) {
    const size = line()
    if (size === undefined || at + Number(size) + 2 > bytes.length) return undefined
    args.push(bytes.subarray(at, at + Number(size)))
    at += Number(size) + 2
  }
  return { args, end: at }
}

const encode = (value: Value): Buffer => {
  if (value === null) return Buffer.from('$-1\r\n')
  if (typeof value === 'number') return Buffer.from(`:${value}\r\n`)
  if (value instanceof Failure) return Buffer.from(`-${value.message}\r\n`)
  if (Array.isArray(value))
    return Buffer.concat([Buffer.from(`*${value.length}\r\n`), ...(value as readonly Value[]).map(encode)])
  const bytes = Buffer.from(value as string | Buffer)
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')])
}
