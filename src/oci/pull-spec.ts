/**
 * A pull spec as people write it: with or without a registry, a tag or a digest. A pull spec of another registry is refused, because advice
 * about it would send people to a namespace that has nothing to do with their image.
 */
import { parseReference, parseRepository, type Reference, type TagOwnerOf } from './reference.ts'

export interface PullSpecOptions {
  /** The path of the monorepo form, `openshift/ci`. */
  readonly monorepo: string
  /** The host of this proxy; its usual host is accepted as well. */
  readonly exposedHost: string
  readonly ownerOf: TagOwnerOf
}

const usualHost = 'quay-proxy.ci.openshift.org'
/** QCI holds the images of this registry under the same names. */
const appCiRegistry = 'registry.ci.openshift.org'
/** Holds QCI among many other repositories. */
const quay = 'quay.io'

/** @throws {Error} if the text is no pull spec of QCI; the message says why */
export const parsePullSpec = (text: string, options: PullSpecOptions): Reference => {
  const { monorepo, ownerOf } = options
  const full = /^sha\d+:[^/]*$/.test(text) ? `${monorepo}@${text}` : text.replace(/^docker:\/\//, '')
  const [spec, digest] = cut(full, '@')
  const { host, components } = split(spec)
  const [namespace = '', last = '', ...deeper] = components
  const [name, tag] = cut(last, ':')
  const path = `${namespace}/${name}`
  checkHost(host, path, options)
  if (deeper.length > 0 || last === '')
    throw new Error(
      `${JSON.stringify(text)} is not a reference of QCI, whose repositories have two components; expected ocp/4.5:base, ${monorepo}:ocp_4.5_base or ${monorepo}@sha256:...`,
    )
  // Clients use the digest if both are given, and `latest` if neither is.
  return parseReference(parseRepository(namespace, name, monorepo), digest ?? tag ?? 'latest', ownerOf)
}

/** The pull spec for a reference, as people type it: `quay-proxy.ci.openshift.org/ocp/4.5:base`. */
export const pullSpecOf = (reference: Reference, host: string): string => {
  const repository = `${host}/${reference.repository.path}`
  return reference.kind === 'tag' ? `${repository}:${reference.tag}` : `${repository}@${reference.digest}`
}

/** Whether clients take the first component of a name for a registry: it has a dot or a port, or is `localhost`. */
export const isRegistryHost = (component: string): boolean =>
  /[.:]/.test(component) || component === 'localhost'

const cut = (text: string, mark: string): readonly [string, string | undefined] => {
  const at = text.indexOf(mark)
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

const split = (spec: string): { host: string | undefined; components: readonly string[] } => {
  const components = spec.split('/')
  const [first = '', ...rest] = components
  return rest.length > 0 && isRegistryHost(first)
    ? { host: first.toLowerCase().replace(/:443$/, ''), components: rest }
    : { host: undefined, components }
}

const checkHost = (host: string | undefined, path: string, { monorepo, exposedHost }: PullSpecOptions) => {
  if (host === undefined || [usualHost, appCiRegistry, exposedHost.toLowerCase()].includes(host)) return
  if (host === quay && path === monorepo) return
  const held =
    host === quay
      ? `${quay}/${path} is another repository than ${quay}/${monorepo}`
      : `${host} is another registry`
  throw new Error(`${held}: what it holds is not in QCI, and not decided about here; ask whoever runs it`)
}
