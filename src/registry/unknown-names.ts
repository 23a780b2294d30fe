/**
 * Answers for repositories that QCI cannot have: a name of one or three components, or the name of another registry after our host. They
 * get 404 NAME_UNKNOWN with the pull spec to use. podman repeats other codes for three seconds.
 */
import type { onRequestAsyncHookHandler, RouteHandlerMethod } from 'fastify'
import { RegistryError, unsupported } from '../oci/errors.ts'
import { parsePullSpec, type PullSpecOptions } from '../oci/pull-spec.ts'
import { quoteName } from '../oci/quote-name.ts'
import type { Stage } from './stage-hook.ts'
import type { Challenge } from './authentication/credential.ts'
import { likelyPullSpec } from '../oci/likely-pull-spec.ts'

interface Wanted {
  readonly components: readonly string[]
  /** Undefined for a list of tags. */
  readonly reference: string | undefined
}

/** Characters. A component that is too long has more by itself. */
const maxPathLength = 512

const endpoints = ['/manifests/', '/blobs/', '/referrers/']

/** @param path what follows `/v2/`, decoded; undefined for a path of no endpoint of the registry API */
export const parseUnknownName = (path: string): Wanted | undefined => {
  const tags = '/tags/list'
  if (path.endsWith(tags) && path.length > tags.length)
    return { components: path.slice(0, -tags.length).split('/'), reference: undefined }
  for (const endpoint of endpoints) {
    const at = path.lastIndexOf(endpoint)
    if (at > 0)
      return { components: path.slice(0, at).split('/'), reference: path.slice(at + endpoint.length) }
  }
  return undefined
}

/** Names are answered after authentication, so that the log has the user. Other paths cost no review. */
export const unknownNameHook =
  (
    authenticate: Stage,
    { challenge, exposedHost }: { readonly challenge: Challenge; readonly exposedHost: string },
  ): onRequestAsyncHookHandler =>
  async (request) => {
    const { '*': path = '' } = request.params as { '*'?: string }
    if (parseUnknownName(path) !== undefined) await authenticate(request)
    else if (request.headers.authorization === undefined) throw loginFirst(challenge)
    else throw path === '_catalog' ? noCatalog(exposedHost) : notServed()
  }

/** For every path below `/v2/` that no other route matches. */
export const unknownNameHandler =
  (options: PullSpecOptions): RouteHandlerMethod =>
  async (request) => {
    const { '*': path = '' } = request.params as { '*'?: string }
    const { components, reference } = parseUnknownName(path) as Wanted
    if (components.length === 2) throw unroutable(path)
    throw nameUnknown(components, reference, options)
  }

/** The router passes over the route of an image for an escaped slash, and for a component that is longer than any tag or digest. */
const unroutable = (path: string): RegistryError =>
  new RegistryError(
    'NAME_INVALID',
    path.length > maxPathLength
      ? 'a component of the path is too long'
      : 'a slash of the path is escaped: send / instead of %2F',
  )

/** Clients learn from the challenge where to log in, whichever path below /v2/ they try first. */
export const loginFirst = (challenge: Challenge): RegistryError =>
  challenge.unauthorized('log in first: nothing here is open to everybody')

/** `podman search` and others ask for it. It would be the list of all repositories. */
const noCatalog = (host: string): RegistryError =>
  unsupported(
    404,
    `this registry does not list its repositories; the tags of one: skopeo list-tags docker://${host}/<namespace>/<name>`,
  )

export const notServed = (): RegistryError =>
  unsupported(404, 'there is nothing here; an image is at /v2/<namespace>/<name>/manifests/<tag or digest>')

/** @param reference undefined for a list of tags */
export const nameUnknown = (
  components: readonly string[],
  reference: string | undefined,
  options: PullSpecOptions,
): RegistryError => {
  const { exposedHost, monorepo } = options
  const name = components.join('/')
  const likely = likelyPullSpec(components, reference ?? 'latest', options)
  const spec = reference === undefined ? likely?.slice(0, likely.lastIndexOf(':')) : likely
  const advice =
    spec === undefined
      ? (foreignRegistry(components, options) ??
        `pull ${exposedHost}/<namespace>/<name>:<tag> or ${exposedHost}/${monorepo}:<namespace>_<name>_<tag>`)
      : `${reference === undefined ? 'list' : 'pull'} ${spec}`
  return new RegistryError('NAME_UNKNOWN', `${quoteName(name)} is not a repository here; ${advice}`, {
    forLog: { rejected: quoteName(name) },
  })
}

/** Why images of another registry are not here. */
const foreignRegistry = (components: readonly string[], options: PullSpecOptions): string | undefined => {
  try {
    parsePullSpec(components.join('/'), options)
    return undefined
  } catch (error) {
    return error instanceof RegistryError || components.length < 3 ? undefined : (error as Error).message
  }
}
