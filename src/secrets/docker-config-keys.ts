/**
 * Finds the entry of a dockerconfigjson for a repository. Keys are read as kubelet reads them: with or without scheme, with `/v1/` or `/v2/`
 * after the host, with a path that the repository begins with, with `*` within one label of the host. Unlike kubelet, a path consists of
 * whole components (`quay.io/openshift/c` is not for `quay.io/openshift/ci`), and the letter case and default port of the host do not matter.
 * @see https://kubernetes.io/docs/concepts/containers/images/#config-json
 */
import { trimBlanks } from './pasted-text.ts'

/** The repository to find an entry for. */
export interface Target {
  readonly upstream: URL
  /** `openshift/ci` */
  readonly repository: string
}

interface Match {
  readonly key: string
  /** Number of components of the path. */
  readonly depth: number
  readonly isGlob: boolean
  readonly hasScheme: boolean
}

/**
 * The keys for a repository, the most specific first: the longest path, then hosts without `*`, then those without a scheme, then the
 * order of the file.
 */
export const matchingKeys = (keys: readonly string[], target: Target): readonly string[] =>
  keys
    .map((key) => matchOf(key, target))
    .filter((match) => match !== undefined)
    .toSorted(
      (one, other) =>
        other.depth - one.depth ||
        Number(one.isGlob) - Number(other.isGlob) ||
        Number(one.hasScheme) - Number(other.hasScheme),
    )
    .map(({ key }) => key)

const matchOf = (key: string, { upstream, repository }: Target): Match | undefined => {
  const pasted = trimBlanks(key)
  const bare = pasted.replace(/^https?:\/\//i, '')
  // With the scheme of upstream, so that its default port is equal, written or not.
  const url = URL.parse(`${upstream.protocol}//${bare}`)
  if (url === null || url.username !== '' || url.password !== '') return undefined
  if (url.port !== upstream.port || !isSameHost(url.hostname, upstream.hostname)) return undefined
  const path = componentsOf(url.pathname.replace(/^\/v[12](?=\/|$)/i, ''))
  const wanted = componentsOf(repository)
  if (!path.every((component, index) => component === wanted[index])) return undefined
  return { key, depth: path.length, isGlob: url.hostname.includes('*'), hasScheme: bare !== pasted }
}

const componentsOf = (path: string): readonly string[] =>
  path.split('/').filter((component) => component !== '')

/** Label by label: `*.quay.io` is neither `quay.io` nor `a.b.quay.io`. */
const isSameHost = (glob: string, host: string): boolean => {
  const [globs, labels] = [glob.split('.'), host.split('.')]
  return globs.length === labels.length && globs.every((part, index) => isSameLabel(part, `${labels[index]}`))
}

/** `*` matches any run of characters. Each part is searched after the one before, which takes no more time than the length of both. */
const isSameLabel = (glob: string, label: string): boolean => {
  const [first = '', ...rest] = glob.split('*')
  const last = rest.pop()
  if (last === undefined) return first === label
  if (!label.startsWith(first)) return false
  let at = first.length
  for (const part of rest) {
    const found = label.indexOf(part, at)
    if (found === -1) return false
    at = found + part.length
  }
  return label.length - last.length >= at && label.endsWith(last)
}
