/** The message of a refusal by the rule of qci-appci, which has one way to get access, for restricted namespaces as well. */
import { RegistryError } from '../oci/errors.ts'
import { askForGroup, type DenialMessage } from '../registry/denial.ts'

export const createLegacyDenialMessage =
  (qciNamespace: string): DenialMessage =>
  ({ identity, wanted }) =>
    new RegistryError(
      'DENIED',
      `${identity.user.username} may not pull ${wanted}; ${askForGroup(qciNamespace)}`,
    )
