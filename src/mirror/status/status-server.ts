/**
 * The HTTP server of the mirror: health and the queue, without a login, as the former program has them. It is for the cluster alone.
 */
import fastify, { type FastifyInstance } from 'fastify'
import type { CopyStatus } from '../queue/queued-copy.ts'
import { answerMirrors, type StatusAnswer } from './mirrors.ts'

/** @param list everything in the queue */
export const createStatusServer = (list: () => readonly CopyStatus[]): FastifyInstance => {
  const server = fastify()
  // Paths are exact, and any method will do, with any body.
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', (_request, _body, done) => done(null))
  server.all('/*', async (request, reply) => {
    const url = new URL(request.url, 'http://mirror')
    const { status, body } = answer(url, list)
    reply.code(status)
    if (typeof body === 'object') return await reply.type('application/json').send(jsonOf(body))
    return await reply
      .header('x-content-type-options', 'nosniff')
      .type('text/plain; charset=utf-8')
      .send(`${body}\n`)
  })
  return server
}

const answer = ({ pathname, searchParams }: URL, list: () => readonly CopyStatus[]): StatusAnswer => {
  if (pathname === '/api/health') return { status: 200, body: { ok: true } }
  if (pathname === '/api/v1/mirrors') return answerMirrors(searchParams, list())
  return { status: 404, body: '404 page not found' }
}

/** A Buffer: of text, the framework would add a charset to the type. */
const jsonOf = (body: object): Buffer => Buffer.from(`${JSON.stringify(body)}\n`)
