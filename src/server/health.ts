/**
 * Alive and ready: for the kubelet, asked often, depending on nobody.
 */
import type { FastifyInstance } from 'fastify'

export interface HealthOptions {
  /** What keeps the proxy from serving; empty when it is ready. */
  readonly notReady: () => readonly string[]
  /** For people who ask with `?verbose`: how the parts are, a line each. */
  readonly status: () => readonly string[]
}

/** A plugin: `/healthz` and `/readyz`. */
export const health = async (app: FastifyInstance, { notReady, status }: HealthOptions): Promise<void> => {
  app.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok\n'))
  app.get<{ Querystring: { verbose?: unknown } }>('/readyz', async (request, reply) => {
    const reasons = notReady()
    const details = request.query.verbose === undefined ? [] : status()
    return reply
      .code(reasons.length === 0 ? 200 : 503)
      .type('text/plain')
      .send([...(reasons.length === 0 ? ['ok'] : reasons), ...details, ''].join('\n'))
  })
}
