/** What the rule of the predecessor tells refused clients: it knows one way to get access, for restricted namespaces too. */
import { RegistryError } from '../oci/errors.ts'
import { askForGroup, type DenialMessage } from '../registry/denial.ts'

export const createLegacyDenialMessage =
  (qciNamespace: string): DenialMessage =>
  ({ identity, wanted }) =>
    new RegistryError(
      'DENIED',
      `${identity.user.username} may not pull ${wanted}; ${askForGroup(qciNamespace)}`,
    )
