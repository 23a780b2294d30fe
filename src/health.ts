/**
 * Alive and ready: for the kubelet, asked often, depending on nobody.
 */
import type { FastifyInstance } from 'fastify'

export interface HealthOptions {
  /** What keeps the proxy from serving; empty when it is ready. */
  readonly notReady: () => readonly string[]
}

/** A plugin: `/healthz` and `/readyz`. */
export const health = async (app: FastifyInstance, { notReady }: HealthOptions): Promise<void> => {
  app.get('/healthz', async (_request, reply) => reply.type('text/plain').send('ok\n'))
  app.get('/readyz', async (_request, reply) => {
    const reasons = notReady()
    return reply
      .code(reasons.length === 0 ? 200 : 503)
      .type('text/plain')
      .send(reasons.length === 0 ? 'ok\n' : `${reasons.join('\n')}\n`)
  })
}
