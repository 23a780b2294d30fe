/**
 * The message of a refusal: the client's own name, the namespace of its request, and how to get access. It tells nothing about others: no
 * groups, no bindings, and not in which namespaces a digest is known.
 */
import { RegistryError } from '../oci/errors.ts'
import { digestOfTag } from '../oci/qci-tag.ts'
import { isDigest } from '../oci/reference.ts'

/** @param namespace the namespace of the request; undefined if the reference names none */
export type DenialMessage = (username: string, wanted: string, namespace: string | undefined) => RegistryError

const denied = (message: string) => new RegistryError('DENIED', message)

/** How access to all of QCI is granted. */
export const askForGroup = (qciNamespace: string) =>
  `ask to be added to a group of the RoleBinding qci-image-puller in namespace ${qciNamespace}`

export const createDenialMessage =
  (qciNamespace: string, isRestricted: (namespace: string) => boolean): DenialMessage =>
  (username, wanted, namespace) => {
    const group = askForGroup(qciNamespace)
    // Naming a role would tell in which namespaces the digest is known.
    if (isDigest(wanted) || digestOfTag(wanted.toLowerCase()) !== undefined)
      return denied(
        `${username} may not pull ${wanted}${namespace === undefined ? '' : ` from namespace ${namespace}`}: it is not known in an image that you may pull; pull such an image by its tag first`,
      )
    if (namespace === undefined)
      return denied(`${username} may not pull ${wanted}, which belongs to no namespace; ${group}`)
    const role = `for the role system:image-puller in namespace ${namespace}`
    const requester = `${username} may not pull from namespace ${namespace} of QCI`
    return denied(
      isRestricted(namespace)
        ? `${requester}, which is restricted; ask ${role}`
        : `${requester}; ${group}, or ${role}`,
    )
  }
