/** What the rule of the predecessor tells refused clients: it knows one way to get access, for restricted namespaces too. */
import { RegistryError } from '../oci/errors.ts'
import { askForGroup, type DenialMessage } from '../registry/denial.ts'

export const createLegacyDenialMessage =
  (qciNamespace: string): DenialMessage =>
  (username, wanted) =>
    new RegistryError('DENIED', `${username} may not pull ${wanted}; ${askForGroup(qciNamespace)}`)
