/**
 * Refuses requests that no route serves: before a body is read and before any request goes to app.ci or upstream.
 */
import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { unsupported, type RegistryError } from '../oci/errors.ts'
import type { Challenge } from '../registry/authentication/credential.ts'
import { loginFirst, notServed } from '../registry/unknown-names.ts'

export const pullOnly = 'this registry is pull-only: images come to QCI by promotion, not by push'

/** @param methodsOf the methods of a path that is served with others than pulls have; undefined for all other paths */
export const refuseUnknownRoute =
  (challenge: Challenge, methodsOf?: (path: string) => string | undefined): onRequestHookHandler =>
  (request, _reply, done) => {
    // Attack: `GET http://elsewhere/...` uses the proxy as a forward proxy. No registry client writes its target in this form.
    if (!request.is404 && request.raw.url?.startsWith('/') === true) return done()
    const methods = request.url.startsWith('/') ? methodsOf?.(request.url.split('?', 1).join('')) : undefined
    if (methods === undefined) done(refusalOf(request, challenge))
    else done(unsupported(405, `this path takes ${methods} only`, methods))
  }

/** The answer to a request that no route serves. */
export const refusalOf = (request: FastifyRequest, challenge: Challenge): RegistryError => {
  const [path = ''] = request.url.split('?')
  const isRegistry = path === '/v2' || path.startsWith('/v2/')
  if (isRegistry && request.headers.authorization === undefined) return loginFirst(challenge)
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return unsupported(405, pullOnly, path === '/v2/auth' ? 'GET, HEAD, POST' : 'GET, HEAD')
  return notServed()
}
