/**
 * The message of a refusal: the client's own name, the namespace of its request, and how to get access. It tells nothing about others: no
 * groups, no bindings, and not in which namespaces a digest is known.
 */
import { serviceAccountOf, type Identity } from '../access/identity.ts'
import { RegistryError } from '../oci/errors.ts'
import { digestOfTag } from '../oci/qci-tag.ts'
import { isDigest } from '../oci/reference.ts'
import { typingErrorsIn } from './typing-error.ts'

export interface Refusal {
  readonly identity: Identity
  /** The QCI tag or the digest of the request, or a phrase such as `the tags of ocp/4.5`. */
  readonly wanted: string
  /** The namespace that the client wrote; undefined if it wrote none. */
  readonly namespace: string | undefined
  /** Whether the requester may pull from that namespace: then the digest alone is closed. Undefined if that was not decided. */
  readonly isNamespaceOpen?: boolean | undefined
}

export type DenialMessage = (refusal: Refusal) => RegistryError

/** How access to all of QCI is granted. */
export const askForGroup = (qciNamespace: string) =>
  `ask to be added to a group of the RoleBinding qci-image-puller in namespace ${qciNamespace}`

export const createDenialMessage =
  (qciNamespace: string, isRestricted: (namespace: string) => boolean): DenialMessage =>
  (refusal) => {
    const { identity, wanted, namespace } = refusal
    const { username } = identity.user
    const scopes = limitingScopes(identity)
    if (scopes !== undefined)
      return denied(
        `the token of ${username} is limited to the scopes ${scopes}, which do not allow this pull; log in with a token without scopes`,
      )
    const group = askForGroup(qciNamespace)
    const access = (own: string): string => {
      const role = roleOf(identity, own)
      return isRestricted(own) || serviceAccountOf(username) !== undefined
        ? `ask for ${role}`
        : `${group}, or for ${role}`
    }
    if (isDigest(wanted) || digestOfTag(wanted.toLowerCase()) !== undefined)
      return denied(digestMessage({ ...refusal, access }))
    if (namespace === undefined)
      return denied(`${username} may not pull ${wanted}, which belongs to no namespace; ${group}`)
    const closed = `${username} may not pull from namespace ${namespace} of QCI${nearOwn(username, namespace)}`
    return denied(
      isRestricted(namespace)
        ? `${closed}, which is restricted; ${access(namespace)}`
        : `${closed}; ${access(namespace)}`,
    )
  }

/** The namespace of a service account stands in its name, so this tells nothing that the client does not know. */
const nearOwn = (username: string, namespace: string): string => {
  const own = serviceAccountOf(username)?.namespace
  return own === undefined || typingErrorsIn(namespace, own) === undefined
    ? ''
    : ` (did you mean your own, ${own}?)`
}

const denied = (message: string) => new RegistryError('DENIED', message)

/** If the client wrote no namespace, a message that names a role would reveal in which namespaces the digest is known. */
const digestMessage = ({
  identity,
  wanted,
  namespace,
  isNamespaceOpen = true,
  access,
}: Refusal & { readonly access: (namespace: string) => string }): string => {
  const { username } = identity.user
  if (namespace === undefined || isNamespaceOpen)
    return `${username} may not pull ${wanted}${namespace === undefined ? '' : ` from namespace ${namespace}`}: it is not known in an image that you may pull; pull such an image by its tag first`
  return `${username} may not pull from namespace ${namespace} of QCI; ${access(namespace)}. A digest opens once an image that has it is known: pull it by its tag first`
}

const roleOf = ({ user: { username } }: Identity, namespace: string): string => {
  const account = serviceAccountOf(username)
  return account === undefined
    ? `the role system:image-puller in namespace ${namespace}`
    : `a RoleBinding of system:image-puller to the service account ${account.namespace}/${account.name} in namespace ${namespace}`
}

/** OpenShift's scopes of a token; a token with `user:full` has all rights of its user. */
const scopesKey = 'scopes.authorization.openshift.io'

/** The scopes that limit the token of an identity; undefined for a token with all rights of its user. */
export const limitingScopes = ({ user: { extra } }: Identity): string | undefined => {
  const scopes = extra[scopesKey]
  if (scopes === undefined || scopes.length === 0 || scopes.includes('user:full')) return undefined
  return scopes.join(', ').slice(0, 200)
}
