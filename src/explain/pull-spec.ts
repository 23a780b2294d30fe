/**
 * Parses a reference as people write it: with a registry, and with a tag or a digest. A reference outside of QCI is refused, because its
 * explanation would make people request access to a namespace that has nothing to do with their image.
 */
import { parseReference, parseRepository, type Reference, type TagOwnerOf } from '../oci/reference.ts'

export interface PullSpecOptions {
  /** `openshift/ci` */
  readonly monorepo: string
  /** The host of this proxy, in addition to the usual one. */
  readonly exposedHost: string
  readonly ownerOf: TagOwnerOf
}

const usualHost = 'quay-proxy.ci.openshift.org'
/** The images of this registry are in QCI under the same names. */
const appCiRegistry = 'registry.ci.openshift.org'
/** This registry has QCI, and many other repositories. */
const quay = 'quay.io'

/** @throws {Error} if the text is no reference of QCI */
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
  // As in clients: the digest wins over the tag, and latest is the default.
  return parseReference(parseRepository(namespace, name, monorepo), digest ?? tag ?? 'latest', ownerOf)
}

const cut = (text: string, mark: string): readonly [string, string | undefined] => {
  const at = text.indexOf(mark)
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}

/** As in clients, a registry has a dot or a port, or is localhost. */
const split = (spec: string): { host: string | undefined; components: readonly string[] } => {
  const components = spec.split('/')
  const [first = '', ...rest] = components
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost')
  return isHost ? { host: first.toLowerCase(), components: rest } : { host: undefined, components }
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
