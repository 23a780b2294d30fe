/** One bad requester, and what each kind of it does. A program of its own, which prints its report on SIGTERM. */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { setPriority } from 'node:os'

export type HostileKind =
  | 'forwarded'
  | 'namespaces'
  | 'broken-blobs'
  | 'forms'
  | 'idle'
  | 'tokens'
  | 'unread'
  | 'descriptors'
  | 'digests'
  | 'tag-lists'

export interface HostileInput {
  readonly kind: HostileKind
  readonly port: number
  /** Its address. */
  readonly from: string
  /** Its token, for the kinds that log in. */
  readonly token: string
  /** Paths below /v2/, for the kinds that request content that exists. */
  readonly paths: readonly string[]
  readonly connections: number
}

export interface HostileReport {
  /** Connections that were opened. */
  readonly connections: number
  /** Answers by status. */
  readonly answers: Readonly<Record<string, number>>
}

const { kind, port, from, token, paths, connections } = JSON.parse(
  process.env['BENCH_INPUT'] ?? '{}',
) as HostileInput
const answers: Record<string, number> = {}
let made = 0
let turn = 0

// An attacker has a machine of its own. Here, it gets the CPU that the others leave.
setPriority(19)

/** Kinds that read nothing, or that wait for nothing. */
const isSilent = kind === 'unread' || kind === 'idle' || kind === 'forms'
/** Milliseconds until a cut connection is opened again, and until a connection that reads nothing is closed. */
const againMs = isSilent ? 1000 : 50
const unreadMs = 3000

const get = (path: string, authorization: string, ...more: readonly string[]): string =>
  [
    `GET ${path} HTTP/1.1`,
    'Host: x',
    ...(authorization === '' ? [] : [`Authorization: Bearer ${authorization}`]),
    'Accept: */*',
    ...more,
    '',
    '',
  ].join('\r\n')

const next = (): string => `/v2/${paths[turn++ % paths.length]}`

/** The request on a connection, sent again after each answer. */
const requestOf: Readonly<Record<HostileKind, () => string>> = {
  forwarded: () => get('/v2/', '', `X-Forwarded-For: ?${'http://'.repeat(8500)}`),
  namespaces: () => get(`/v2/made-up-${turn++}/x/manifests/latest`, token),
  'broken-blobs': () => get(next(), token),
  forms: () =>
    'POST /v2/auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_type=',
  idle: () => '',
  tokens: () => get('/v2/ocp/4.5/manifests/base', `sha256~${randomBytes(32).toString('base64url')}`),
  unread: () => get(next(), token),
  descriptors: () => get(next(), token),
  digests: () => get(`/v2/${paths[0]}/manifests/sha256:${randomBytes(32).toString('hex')}`, token),
  'tag-lists': () => get(next(), token),
}

const open = (): void => {
  made += 1
  const socket = connect({ port, host: '127.0.0.1', localAddress: from })
  socket.once('connect', () => void socket.write(requestOf[kind]()))
  socket.on('error', () => undefined)
  socket.once('close', () => void setTimeout(open, againMs))
  if (!isSilent) answerAgain(socket)
  else if (kind === 'unread') {
    socket.pause()
    setTimeout(() => socket.destroy(), unreadMs)
  } else socket.on('data', (bytes: Buffer) => count(bytes.toString('latin1', 9, 12)))
}

const count = (status: string): void => void (answers[status] = (answers[status] ?? 0) + 1)

/** Sends the next request after each answer. */
const answerAgain = (socket: Socket): void => {
  let head = ''
  let left = 0
  socket.on('data', (bytes: Buffer) => {
    let rest = bytes
    while (rest.length > 0) {
      if (left > 0) {
        const taken = Math.min(left, rest.length)
        left -= taken
        rest = rest.subarray(taken)
      } else {
        head += rest.toString('latin1')
        const end = head.indexOf('\r\n\r\n')
        if (end === -1) return
        rest = Buffer.from(head.slice(end + 4), 'latin1')
        left = Number(/^content-length: (\d+)/im.exec(head.slice(0, end))?.[1] ?? 0)
        count(head.slice(9, 12))
        head = ''
      }
      if (left === 0) socket.write(requestOf[kind]())
    }
  })
}

for (let index = 0; index < connections; index++) open()

process.once('SIGTERM', () => {
  const report: HostileReport = { connections: made, answers }
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0))
})
