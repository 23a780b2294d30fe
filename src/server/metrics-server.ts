/**
 * The Prometheus endpoint, on an address of its own, so that clients cannot reach it.
 */
import Fastify, { type FastifyInstance } from 'fastify'
import type { Metrics } from '../telemetry/metrics.ts'

export const buildMetricsServer = ({ registry }: Pick<Metrics, 'registry'>): FastifyInstance => {
  const app = Fastify({ logger: false })
  app.get('/metrics', async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  )
  return app
}
