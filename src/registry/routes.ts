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
import type {
  FastifyPluginAsync,
  onRequestAsyncHookHandler,
  onRequestHookHandler,
  RouteHandlerMethod,
} from 'fastify'
import fp from 'fastify-plugin'
import type { Anonymous } from './authentication/anonymous.ts'
import { authenticationStage, type Authenticate } from './authentication/authentication.ts'
import {
  authorizationHook,
  createAuthorizeDigest,
  repositoryHook,
  type AuthorizationOptions,
} from './authorization.ts'
import { blobHandler, type BlobsOptions } from './blobs.ts'
import { manifestHandler, type ManifestsOptions } from './manifests.ts'
import { referrersHandler, type ReferrersOptions } from './referrers.ts'
import { routePaths } from './route-paths.ts'
import { stageHook } from './stage-hook.ts'
import { unknownNameHandler, unknownNameHook } from './unknown-names.ts'
import { tagsHandler, type TagsOptions } from './tags/tags.ts'
import { tokenHandlers, type TokenOptions } from './authentication/token-endpoint.ts'

export interface RoutesOptions
  extends
    AuthorizationOptions,
    BlobsOptions,
    Omit<ManifestsOptions, 'authorizeDigest'>,
    ReferrersOptions,
    TagsOptions,
    TokenOptions {
  readonly authenticate: Authenticate
  /** Undefined: clients have to log in. */
  readonly anonymous?: Anonymous | undefined
}

type Hook = onRequestHookHandler | onRequestAsyncHookHandler

/** The same body as quay's. */
const pong = Buffer.from('true')

const plugin: FastifyPluginAsync<RoutesOptions> = async (app, options) => {
  const { authenticate, anonymous } = options
  const authenticateAll = anonymous?.admit(authenticate) ?? authenticate
  const realm = tokenHandlers({ ...options, authenticate: authenticateAll })
  app.removeAllContentTypeParsers()
  await app.register(formbody)
  app.route({ method: ['GET', 'HEAD'], url: routePaths.token, handler: realm.get })
  app.route({ method: 'POST', url: routePaths.token, handler: realm.post })

  const authenticated = stageHook(authenticationStage(authenticate))
  const authenticateEverybody = authenticationStage(authenticateAll)
  const everybody = stageHook(authenticateEverybody)
  const pull = (url: string, handler: RouteHandlerMethod, ...onRequest: Hook[]) =>
    // The order of the stages: authentication, authorization, then the handler.
    app.route({ method: ['GET', 'HEAD'], url, onRequest, handler })

  const ping: RouteHandlerMethod = async (_request, reply) =>
    reply.header('content-type', 'application/json').send(pong)
  // Both paths, because docker loses the challenge in a redirect.
  pull(routePaths.ping, ping, authenticated)
  pull(routePaths.pingWithoutSlash, ping, authenticated)

  const authorized = authorizationHook(options)
  pull(
    routePaths.manifests,
    manifestHandler({
      ...options,
      authorizeDigest: createAuthorizeDigest(options),
    }),
    everybody,
    authorized,
  )
  pull(routePaths.blobs, blobHandler(options), everybody, authorizationHook(options, 'blob'))
  pull(routePaths.referrers, referrersHandler(options), everybody, authorized)
  // A list depends on the requester. Authentication is required, because a client that has not sent its credential yet would take a
  // partial list for the whole.
  pull(routePaths.tags, tagsHandler(options), authenticated, repositoryHook(options))
  pull(routePaths.others, unknownNameHandler(options), unknownNameHook(authenticateEverybody, options))
}

export const routes = fp(plugin, { name: 'quay-proxy/routes', fastify: '5.x' })
