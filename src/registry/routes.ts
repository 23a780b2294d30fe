/**
 * The pull half of the OCI endpoint table, and nothing else.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints
 *
 *     GET HEAD  /v2/                            end-1     who am I
 *     GET HEAD  /v2/<name>/manifests/<ref>      end-3
 *     GET HEAD  /v2/<name>/blobs/<digest>       end-2
 *     GET HEAD  /v2/<name>/tags/list            end-8
 *     GET HEAD  /v2/<name>/referrers/<digest>   end-12
 *     GET POST  /v2/auth                                  the realm
 */
import formbody from '@fastify/formbody'
import type { FastifyPluginAsync, onRequestAsyncHookHandler, RouteHandlerMethod } from 'fastify'
import fp from 'fastify-plugin'
import { authenticationHook, type Authenticate } from './authentication.ts'
import { authorizationHook, repositoryHook, type AuthorizationOptions } from './authorization.ts'
import { blobHandler, type BlobsOptions } from './blobs.ts'
import { manifestHandler, type ManifestsOptions } from './manifests.ts'
import { referrersHandler, type ReferrersOptions } from './referrers.ts'
import { tagsHandler, type TagsOptions } from './tags.ts'
import { tokenHandlers, type TokenOptions } from './token.ts'

export interface RoutesOptions
  extends AuthorizationOptions, BlobsOptions, ManifestsOptions, ReferrersOptions, TagsOptions, TokenOptions {
  readonly authenticate: Authenticate
}

/** quay's own answer to a ping. */
const pong = Buffer.from('true')

const plugin: FastifyPluginAsync<RoutesOptions> = async (app, options) => {
  const realm = tokenHandlers(options)
  app.removeAllContentTypeParsers()
  await app.register(formbody)
  app.route({ method: ['GET', 'HEAD'], url: '/v2/auth', handler: realm.get })
  app.route({ method: 'POST', url: '/v2/auth', handler: realm.post })

  const authenticated = authenticationHook(options.authenticate)
  const pull = (url: string, handler: RouteHandlerMethod, ...hooks: onRequestAsyncHookHandler[]) =>
    // The order: who are they, what do they want, may they. Nothing before it is known goes any further.
    app.route({ method: ['GET', 'HEAD'], url, onRequest: [authenticated, ...hooks], handler })

  const ping: RouteHandlerMethod = async (_request, reply) =>
    reply.header('content-type', 'application/json').send(pong)
  // Both, since docker loses the challenge over a redirect.
  pull('/v2/', ping)
  pull('/v2', ping)

  const authorized = authorizationHook(options)
  const repository = '/v2/:namespace/:name'
  pull(`${repository}/manifests/:reference`, manifestHandler(options), authorized)
  pull(`${repository}/blobs/:digest`, blobHandler(options), authorized)
  pull(`${repository}/referrers/:digest`, referrersHandler(options), authorized)
  pull(`${repository}/tags/list`, tagsHandler(options), repositoryHook(options.monorepo))
}

export const routes = fp(plugin, { name: 'quay-proxy/routes', fastify: '5.x' })
