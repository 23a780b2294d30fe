/**
 * How access is granted, as commands to paste. `system:image-puller` is a ClusterRole, bound in the namespace of the images;
 * `qci-image-puller` is a Role of the QCI namespace itself.
 */

/** Who is to be let in. */
export interface Subject {
  /** `group-of`: a group of theirs, which only who runs the command can choose. */
  readonly sort: 'user' | 'group-of'
  readonly name: string
}

export const imagePullerCommand = (subject: Subject, namespace: string): string =>
  command('system:image-puller', subject, `-n ${quote(namespace)}`)

export const qciImagePullerCommand = (subject: Subject, qciNamespace: string): string =>
  command('qci-image-puller', subject, `--role-namespace=${quote(qciNamespace)} -n ${quote(qciNamespace)}`)

const command = (role: string, { sort, name }: Subject, place: string): string => {
  if (sort === 'user') return `oc policy add-role-to-user ${role} ${quote(name)} ${place}`
  return `oc policy add-role-to-group ${role} GROUP ${place}  # GROUP: a group of ${name.replaceAll(/[^\x20-\x7e]/g, '?')}`
}

/** Attack: a name with `;` or `$(...)` in a command that somebody pastes into a shell. */
const quote = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
