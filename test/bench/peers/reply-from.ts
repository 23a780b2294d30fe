/**
 * Fastify and @fastify/reply-from, nothing else. A program of its own:
 * `node reply-from.ts <port> <upstream> [<CA file>]`.
 */
import replyFrom from '@fastify/reply-from'
import Fastify from 'fastify'
import { readFileSync } from 'node:fs'

const [port, base = '', caFile] = process.argv.slice(2)
const app = Fastify({ logger: false })
const connect = caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') }
await app.register(replyFrom, { base, undici: { connections: 128, connect }, disableRequestLogging: true })
app.get('/*', (request, reply) => reply.from(request.url))
await app.listen({ host: '127.0.0.1', port: Number(port) })
process.once('SIGTERM', () => process.exit(0))
