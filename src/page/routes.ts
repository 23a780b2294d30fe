/**
 * The routes that explain access: `GET /access` for programs, and the page at `/` for browsers. Other clients get the answers of a registry
 * there.
 */
import helmet from '@fastify/helmet'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { authenticationStage, type Authenticate } from '../registry/authentication/authentication.ts'
import { stageHook } from '../registry/stage-hook.ts'
import { accessHandler, type PaceRefusal } from './access-endpoint.ts'
import { isForBrowser, pageHeaders } from './page-headers.ts'
import type { IsConfidential } from './confidential.ts'
import type { PageFrame } from './document.ts'
import { createExplainImage, type ExplainImageOptions } from './explain-image.ts'
import { explanationPaths } from '../registry/route-paths.ts'
import { PageHandlers } from './page-handlers.ts'
import type { PartState } from '../telemetry/part-states.ts'

export interface PageOptions extends ExplainImageOptions, PageFrame {
  /** Authenticates every client that may pull, including anonymous ones. */
  readonly authenticate: Authenticate
  readonly isConfidential: IsConfidential
  readonly paceRefusal: PaceRefusal
  readonly parts: () => readonly PartState[]
  /** The error of a request that nothing serves. */
  readonly notServed: (request: FastifyRequest) => Error
}

const plugin: FastifyPluginAsync<PageOptions> = async (app, options) => {
  const explainImage = createExplainImage(options)
  const { authenticate, paceRefusal } = options
  app.route({
    method: 'GET',
    url: explanationPaths.access,
    onRequest: stageHook(authenticationStage(authenticate)),
    handler: accessHandler({ explainImage, paceRefusal }),
  })
  // A scope of its own, so that no other response gets these header fields.
  await app.register(async (scope) => {
    const handlers = new PageHandlers({ ...options, explainImage })
    // Runs before helmet, so that clients other than browsers get no header field of a page.
    scope.addHook('onRequest', async (request) => {
      if (!isForBrowser(request)) throw options.notServed(request)
    })
    await scope.register(helmet, pageHeaders)
    scope.setErrorHandler(async (error, request, reply) => {
      // The handler of the registry answers.
      if (!isForBrowser(request)) throw error
      return await handlers.failed(error, request, reply)
    })
    scope.get(explanationPaths.page, async (request, reply) => await handlers.show(request, reply))
    scope.post(explanationPaths.page, async (request, reply) => await handlers.explain(request, reply))
  })
}

export const page = fp(plugin, { name: 'quay-proxy/page', fastify: '5.x' })
