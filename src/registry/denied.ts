/**
 * What the refused are told: their own name, the namespace they asked for, and how access to it is granted. Nothing about
 * anybody else: no groups, no bindings, not where else a digest is known.
 */
import { RegistryError } from '../errors.ts'

/** @param namespace the namespace that was asked for; undefined where the reference names none */
export type Denied = (username: string, wanted: string, namespace: string | undefined) => RegistryError

const denied = (message: string) => new RegistryError('DENIED', message)

const askForGroup = (qciNamespace: string) =>
  `ask to be added to a group of the RoleBinding qci-image-puller in namespace ${qciNamespace}`

/** Under the predecessor's rule there is one way in, restricted namespaces included. */
export const createPredecessorDenied =
  (qciNamespace: string): Denied =>
  (username, wanted) =>
    denied(`${username} may not pull ${wanted}; ${askForGroup(qciNamespace)}`)

export const createDenied =
  (qciNamespace: string, isRestricted: (namespace: string) => boolean): Denied =>
  (username, wanted, namespace) => {
    const group = askForGroup(qciNamespace)
    if (namespace === undefined)
      return denied(
        `${username} may not pull ${wanted}, of which no namespace is known that is open to you; pull a digest by its tag first, or ${group}`,
      )
    const role = `for the role system:image-puller in namespace ${namespace}`
    const asker = `${username} may not pull from namespace ${namespace} of QCI`
    return denied(
      isRestricted(namespace)
        ? `${asker}, which is restricted; ask ${role}`
        : `${asker}; ${group}, or ${role}`,
    )
  }
