/**
 * What the refused are told: their own name, the namespace they asked for, and how access to it is granted. Nothing about
 * anybody else: no groups, no bindings, not where else a digest is known.
 */
import { RegistryError } from '../errors.ts'

/** Under the predecessor's rule there is one way in, restricted namespaces included. */
export const createPredecessorDenied =
  (qciNamespace: string): Denied =>
  (username, wanted) =>
    new RegistryError(
      'DENIED',
      `${username} may not pull ${wanted}: a group that the RoleBinding qci-image-puller in namespace ${qciNamespace} names opens it`,
    )

/** @param namespace the namespace that was asked for; undefined where the reference names none */
export type Denied = (username: string, wanted: string, namespace: string | undefined) => RegistryError

export const createDenied = (qciNamespace: string, isRestricted: (namespace: string) => boolean): Denied => {
  const qciImagePuller = `a group that the RoleBinding qci-image-puller in namespace ${qciNamespace} names opens it`
  const imagePuller = (where: string) => `the role system:image-puller in ${where} opens it`
  return (username, wanted, namespace) => {
    if (namespace === undefined)
      return new RegistryError(
        'DENIED',
        `${username} may not pull ${wanted}, of which no namespace is known that is open to you: ${qciImagePuller}; a digest is also open to who pulled its tag`,
      )
    const ways = isRestricted(namespace)
      ? `only ${imagePuller(`namespace ${namespace}`)}`
      : `${qciImagePuller}, or ${imagePuller(`namespace ${namespace}`)}`
    return new RegistryError('DENIED', `${username} may not pull from namespace ${namespace} of QCI: ${ways}`)
  }
}
