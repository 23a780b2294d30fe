/**
 * References of external images: `[host/]repository[:tag][@digest]`, as `podman pull` reads them.
 * @see https://github.com/distribution/reference/blob/main/reference.go
 */
import { isNameComponent, isTag, maxRepositoryLength } from '../../oci/name-grammar.ts'
import { isDigest, type Digest } from '../../oci/digest.ts'

export interface ImageReference {
  /** Host and port, lower case: `quay.io`, `localhost:5000`. Every spelling of Docker Hub becomes `docker.io`. */
  readonly registry: string
  readonly repository: string
  /** `latest` if the text has neither a tag nor a digest. */
  readonly tag: string | undefined
  readonly digest: Digest | undefined
}

export const dockerHub = 'docker.io'
/** Each host of Docker Hub is another spelling of it: `index.docker.io`, `registry-1.docker.io`, `hub.docker.com`. */
const hostOfDockerHub = /(?:^|\.)docker\.(?:io|com)(?::\d+)?$/

const hostPattern = /^(?:[a-z0-9][a-z0-9.-]{0,252}|\[[0-9a-f:]{2,39}\])(?::\d{1,5})?$/i

/** @returns a sentence without its full stop if the text is not a reference */
export const parseImageReference = (text: string): ImageReference | string => {
  const [named = '', digest, ...more] = text.split('@')
  if (more.length > 0) return 'has more than one "@"'
  if (digest !== undefined && !isDigest(digest)) return `has ${JSON.stringify(digest)} where a digest belongs`
  if (named.includes('://')) return 'begins with a scheme, and a reference has none'
  const { path, tag } = splitTag(named)
  if (tag !== undefined && !isTag(tag)) return `has ${JSON.stringify(tag)} where a tag belongs`
  const { registry, repository } = splitHost(path)
  if (!hostPattern.test(registry) || !URL.canParse(`https://${registry}`))
    return `has ${JSON.stringify(registry)} where a host belongs`
  const isRepository = repository.split('/').every(isNameComponent)
  if (!isRepository || repository.length > maxRepositoryLength)
    return `has ${JSON.stringify(repository)} where a repository belongs`
  return {
    registry,
    repository,
    tag: tag ?? (digest === undefined ? 'latest' : undefined),
    digest,
  }
}

/** The reference for a request to the registry: the digest if there is one. */
export const versionOf = ({ tag, digest }: ImageReference): string => digest ?? `${tag}`

export const formatReference = ({ registry, repository, tag, digest }: ImageReference): string =>
  `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`

/** The colon of a port comes before the last slash. */
const splitTag = (named: string): { readonly path: string; readonly tag: string | undefined } => {
  const colon = named.lastIndexOf(':')
  return colon > named.lastIndexOf('/')
    ? { path: named.slice(0, colon), tag: named.slice(colon + 1) }
    : { path: named, tag: undefined }
}

/** Without a host, a reference is one of Docker Hub: `fedora` is `docker.io/library/fedora`. */
const splitHost = (path: string): { readonly registry: string; readonly repository: string } => {
  const slash = path.indexOf('/')
  const first = path.slice(0, Math.max(slash, 0))
  const isHost = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase()
  if (!isHost) return { registry: dockerHub, repository: slash === -1 ? `library/${path}` : path }
  const registry = canonicalHost(first)
  const rest = path.slice(slash + 1)
  const isShort = registry === dockerHub && !rest.includes('/')
  return { registry, repository: isShort ? `library/${rest}` : rest }
}

/**
 * As requests are sent to it, so that no spelling passes a check and reaches the same server: `quay.io:0443` is `quay.io`. Without the dot at
 * the end of a full domain name.
 * @returns the text itself if no URL can have it
 */
const canonicalHost = (host: string): string => {
  // A URL would take more than a host from the text: `quay.io#x`.
  const canonical = hostPattern.test(host) ? URL.parse(`https://${host}`)?.host : undefined
  if (canonical === undefined) return host
  const plain = canonical.replace(/\.(?=:\d{1,5}$|$)/, '')
  return hostOfDockerHub.test(plain) ? dockerHub : plain
}
