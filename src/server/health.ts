/**
 * Liveness and readiness probes. The kubelet calls them often; they call no other service.
 */
import type { FastifyInstance } from 'fastify'

export interface HealthOptions {
  /** The reasons why the proxy cannot serve; empty when it is ready. */
  readonly notReady: () => readonly string[]
  /** The state of the components for `?verbose`, one line each. */
  readonly status: () => readonly string[]
}

/** The usual name, and the one that Kubernetes itself has had since 1.16. */
const livenessPaths = ['/healthz', '/livez']
export const probePaths: ReadonlySet<string | undefined> = new Set([...livenessPaths, '/readyz'])

/** A plugin: `/healthz`, `/livez` and `/readyz`. */
export const health = async (app: FastifyInstance, { notReady, status }: HealthOptions): Promise<void> => {
  for (const path of livenessPaths)
    app.get(path, async (_request, reply) => reply.type('text/plain').send('ok\n'))
  app.get<{ Querystring: { verbose?: unknown } }>('/readyz', async (request, reply) => {
    const reasons = notReady()
    const details = request.query.verbose === undefined ? [] : status()
    return reply
      .code(reasons.length === 0 ? 200 : 503)
      .type('text/plain')
      .send([...(reasons.length === 0 ? ['ok'] : reasons), ...details, ''].join('\n'))
  })
}
