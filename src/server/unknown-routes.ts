/**
 * Refuses requests that no route serves: before a body is read and before any request goes to app.ci or upstream.
 */
import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { unsupported, type RegistryError } from '../oci/errors.ts'
import type { Challenge } from '../registry/authentication/credential.ts'
import { loginFirst, notServed } from '../registry/unknown-names.ts'

export const pullOnly = 'this registry is pull-only: images come to QCI by promotion, not by push'

/** @param methodsOf the methods of a path, if they are not those of pulls; undefined for all other paths */
export const refuseUnknownRoute =
  (challenge: Challenge, methodsOf?: (path: string) => string | undefined): onRequestHookHandler =>
  (request, _reply, done) => {
    // Attack: `GET http://elsewhere/...` uses the proxy as a forward proxy. No registry client writes its target in this form.
    if (!request.is404 && request.raw.url?.startsWith('/') === true) return done()
    const methods = request.url.startsWith('/') ? methodsOf?.(pathOf(request)) : undefined
    if (methods === undefined) done(refusalOf(request, challenge))
    else done(unsupported(405, `this path takes ${methods} only`, methods))
  }

/** The answer to a request that no route serves. */
export const refusalOf = (request: FastifyRequest, challenge: Challenge): RegistryError => {
  const path = pathOf(request)
  const isRegistry = path === '/v2' || path.startsWith('/v2/')
  if (isRegistry && request.headers.authorization === undefined) return loginFirst(challenge)
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return unsupported(405, pullOnly, path === '/v2/auth' ? 'GET, HEAD, POST' : 'GET, HEAD')
  return notServed()
}

/** Decoded, because the router decodes a path before it compares it. Only ASCII matters here. */
const pathOf = ({ url }: FastifyRequest): string => {
  const [path = ''] = url.split('?')
  return path.replaceAll(/%([0-9a-f]{2})/gi, (_escape, hex: string) =>
    String.fromCharCode(Number(`0x${hex}`)),
  )
}
