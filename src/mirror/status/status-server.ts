/**
 * The HTTP server of the mirror: health and the queue, without a login, as in the former program. It is only for clients within the
 * cluster. The endpoints for one image, and for its sync, are new.
 */
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { CopyStatus } from '../queue/queued-copy.ts'
import { explain, notListed, type Explanation } from './explanation.ts'
import type { ImageStatus } from './image-book.ts'
import { answerMirrors, type StatusAnswer } from './mirrors.ts'

export interface MirrorStatus {
  /** Everything in the queue. */
  readonly queue: () => readonly CopyStatus[]
  readonly images: () => readonly ImageStatus[]
  /** Compares an image of the list, and copies it if it differs. @returns a sentence with the reason if it does not */
  readonly sync: (target: string) => Promise<string | undefined>
  /** Why the watch of all ImageStreams has no image for a target: a sentence without its full stop. Undefined without a watch. */
  readonly verdictOf: (target: string) => string | undefined
  /** Milliseconds of the clock of the queue -> milliseconds since the epoch. */
  readonly epochOf: (at: number) => number
}

const root = '/api/v1/mirrors'
const syncSuffix = '/sync'

export const createStatusServer = (mirror: MirrorStatus): FastifyInstance => {
  const server = fastify({
    // A path that cannot be decoded.
    frameworkErrors: (_error, _request, reply) => void send(reply, notFound),
  })
  // The paths of the former program must match exactly. They take any method and any body.
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', (_request, _body, done) => done(null))
  server.all('/*', async (request, reply) => {
    const url = new URL(request.url, 'http://mirror')
    return await send(reply, await answer(request.method, url, mirror))
  })
  return server
}

const notFound: StatusAnswer = { status: 404, body: '404 page not found' }

const send = async (reply: FastifyReply, { status, body }: StatusAnswer): Promise<FastifyReply> => {
  reply.code(status)
  if (typeof body === 'object') return await reply.type('application/json').send(jsonOf(body))
  return await reply
    .header('x-content-type-options', 'nosniff')
    .type('text/plain; charset=utf-8')
    .send(`${body}\n`)
}

const answer = async (method: string, url: URL, mirror: MirrorStatus): Promise<StatusAnswer> => {
  const { pathname, searchParams } = url
  if (pathname === '/api/health') return { status: 200, body: { ok: true } }
  if (pathname === root) return answerMirrors(searchParams, mirror.queue())
  const target = targetIn(pathname)
  if (target === undefined) return notFound
  if (!target.endsWith(syncSuffix)) return answerImage(target, mirror)
  if (method !== 'POST') return { status: 405, body: 'sync is a POST' }
  return await answerSync(target.slice(0, -syncSuffix.length), mirror)
}

/** `<namespace>/<name>:<tag>` after the root; undefined for any other path. */
const targetIn = (pathname: string): string | undefined => {
  if (!pathname.startsWith(`${root}/`)) return undefined
  // The router has already refused paths that cannot be decoded.
  const target = decodeURIComponent(pathname.slice(root.length + 1))
  return target.includes('/') ? target : undefined
}

const answerImage = (target: string, mirror: MirrorStatus): StatusAnswer => {
  const explanation = explanationOf(target, mirror)
  return explanation === undefined
    ? { status: 404, body: notListed(target, mirror.images(), mirror.verdictOf(target)) }
    : { status: 200, body: explanation }
}

const answerSync = async (target: string, mirror: MirrorStatus): Promise<StatusAnswer> => {
  if (explanationOf(target, mirror) === undefined) return answerImage(target, mirror)
  const refusal = await mirror.sync(target)
  if (refusal !== undefined) return { status: 409, body: refusal }
  // The list may have changed meanwhile.
  const after = answerImage(target, mirror)
  return after.status === 200 ? { ...after, status: 202 } : after
}

const explanationOf = (target: string, mirror: MirrorStatus): Explanation | undefined => {
  const image = mirror.images().find((candidate) => candidate.target === target)
  return image && explain(image, mirror.epochOf)
}

/** A Buffer, because the framework would add a charset to the content type of a string. */
const jsonOf = (body: object): Buffer => Buffer.from(`${JSON.stringify(body)}\n`)
