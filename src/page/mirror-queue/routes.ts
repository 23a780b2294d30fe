/**
 * The routes of the mirror's queue, for requesters with the right in RBAC: `GET /mirrors`, `GET /mirrors/<namespace>/<name>:<tag>`, and the
 * POST of a sync. A browser gets a page, whose form is sent to `POST /mirrors`.
 */
import helmet from '@fastify/helmet'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { unsupported } from '../../oci/errors.ts'
import { authenticationStage } from '../../registry/authentication/authentication.ts'
import { mirrorPaths } from '../../registry/route-paths.ts'
import { isForBrowser, pageHeaders } from '../page-headers.ts'
import { imagePathOf, isOfList, MirrorHandlers, type MirrorHandlersOptions } from './mirror-handlers.ts'
import type { MirrorOrigin } from './mirror-origin.ts'
import { mirrorImageMethodsOf, mirrorListMethods, unknownTarget } from './mirror-paths.ts'

export interface MirrorRoutesOptions extends Omit<MirrorHandlersOptions, 'mirror'> {
  readonly mirror: MirrorOrigin
}

const plugin: FastifyPluginAsync<MirrorRoutesOptions> = async (app, options) => {
  // A scope of its own, so that no other route can pass requests on.
  await app.register(async (scope) => {
    await options.mirror.register(scope)
    await scope.register(helmet, { ...pageHeaders, global: false })
    addRoutes(scope, options)
  })
}

const addRoutes = (scope: FastifyInstance, options: MirrorRoutesOptions): void => {
  const handlers = new MirrorHandlers(options)
  const authenticate = authenticationStage(options.authenticate)
  scope.setErrorHandler(async (error, request, reply) => {
    // The handler of the registry answers.
    if (!isOfPage(request)) throw error
    return await handlers.failed(error, request, reply)
  })
  scope.addHook('onRequest', async (request, reply) => {
    if (isOfPage(request)) reply.helmet()
    const methods = isOfList(request) ? mirrorListMethods : mirrorImageMethodsOf(imagePathOf(request))
    if (!methods.split(', ').includes(request.method) || (isForm(request) && !isOfPage(request)))
      throw unsupported(405, `this path takes ${methods} only`, methods)
  })
  scope.addHook('onRequest', async (request) => {
    if (!isOfPage(request)) await authenticate(request)
    if (isEscaped(request)) throw unknownTarget(isOfList(request) ? mirrorPaths.list : imagePathOf(request))
  })
  scope.get(mirrorPaths.list, async (request, reply) =>
    isOfPage(request) ? await handlers.form(request, reply) : await handlers.list(request, reply),
  )
  scope.get(mirrorPaths.images, async (request, reply) =>
    isOfPage(request) ? await handlers.form(request, reply) : await handlers.image(request, reply),
  )
  scope.post(mirrorPaths.images, async (request, reply) => await handlers.sync(request, reply))
  scope.post(mirrorPaths.list, async (request, reply) => await handlers.submit(request, reply))
}

/** Whether anything but the colon is escaped. No such path is served, because RBAC and the access log would have to decode it alike. */
const isEscaped = (request: FastifyRequest): boolean => {
  const decoded = isOfList(request) ? mirrorPaths.list : `${mirrorPaths.list}/${imagePathOf(request)}`
  return request.url.split('?', 1).join('').replace(/%3a/i, ':') !== decoded
}

/** A browser sends no credential of its own: the page asks for one. A sync of the page is a form, too. */
const isOfPage = (request: FastifyRequest): boolean =>
  isForBrowser(request) &&
  request.headers.authorization === undefined &&
  (request.method === 'GET' || isForm(request))

const isForm = (request: FastifyRequest): boolean => request.method === 'POST' && isOfList(request)

export const mirrors = fp(plugin, { name: 'quay-proxy/mirrors', fastify: '5.x' })
