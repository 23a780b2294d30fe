/**
 * Guesses the pull spec that a client with a misspelled name probably wants. The advice is made from the client's own text alone, so it
 * reveals nothing.
 */
import { isRegistryHost, parsePullSpec, pullSpecOf, type PullSpecOptions } from './pull-spec.ts'
import { isDigest } from './reference.ts'

/** The tag that clients send if the person has written none. */
export const implicitTag = 'latest'

/**
 * @param components the path of the repository: `registry.ci.openshift.org`, `ocp`, `4.5`
 * @param reference a tag or a digest
 * @returns undefined if no spelling of it is a pull spec of QCI
 */
export const likelyPullSpec = (
  components: readonly string[],
  reference: string,
  options: PullSpecOptions,
): string | undefined => {
  const written = components.filter((component) => component !== '' && !isScheme(component))
  for (const spelling of spellings(written, reference, options.monorepo))
    try {
      return pullSpecOf(parsePullSpec(spelling, options), options.exposedHost)
    } catch {
      // The next spelling is tried.
    }
  return undefined
}

const isScheme = (component: string): boolean => /^https?:$/.test(component)

/** The most likely one comes first. */
function* spellings(
  components: readonly string[],
  reference: string,
  monorepo: string,
): Generator<string, void> {
  const [host = ''] = components
  const own = isRegistryHost(host) && components.length > 2 ? components.slice(1) : components
  const registry = own === components ? '' : `${host}/`
  if (isDigest(reference)) {
    if (own.length === 2) yield `${registry}${own.join('/')}@${reference}`
    // A digest needs no name: the monorepo has them all.
    yield `${registry}${monorepo}@${reference}`
    return
  }
  if (own.length === 2) yield `${registry}${own.join('/')}:${reference}`
  const [namespace, name, tag] = own
  const isImplicit = reference === implicitTag
  // ocp/4.5/base
  if (own.length === 3 && isImplicit) yield `${registry}${namespace}/${name}:${tag}`
  // ocp_4.5_base, ocp_4.5/base, ocp_4.5:base
  const qciTag = [...own, ...(isImplicit ? [] : [reference])].join('_')
  // Attack: `quay.io/my_org/image` would become a tag of the monorepo, which is on quay.io as well.
  if (host === 'quay.io') return
  if (own.join('').includes('_') && qciTag.split('_').length > 2) yield `${registry}${monorepo}:${qciTag}`
}
