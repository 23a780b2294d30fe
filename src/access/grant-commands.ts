/**
 * Commands to paste that grant access. `system:image-puller` is a ClusterRole that is bound in the namespace of the images;
 * `qci-image-puller` is a Role of the QCI namespace itself.
 */
import { printableAscii } from '../oci/printable.ts'

/** The user who gets access. */
export interface Subject {
  /** `group-of`: the grant is for a group of this user, which the person who runs the command has to choose. */
  readonly kind: 'user' | 'group-of'
  readonly name: string
}

export const imagePullerCommand = (subject: Subject, namespace: string): string =>
  command('system:image-puller', subject, `-n ${quote(namespace)}`)

export const qciImagePullerCommand = (subject: Subject, qciNamespace: string): string =>
  command('qci-image-puller', subject, `--role-namespace=${quote(qciNamespace)} -n ${quote(qciNamespace)}`)

const command = (role: string, { kind, name }: Subject, place: string): string => {
  if (kind === 'user') return `oc policy add-role-to-user ${role} ${quote(name)} ${place}`
  return `oc policy add-role-to-group ${role} GROUP ${place}  # GROUP: a group of ${printableAscii(name)}`
}

/** Attack: a name contains `;` or `$(...)`, and an administrator pastes the command into a shell. */
const quote = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
