/**
 * How somebody gets access: a command for an administrator of the namespace, or a pull request where access is kept in a repository.
 */
import { imagePullerCommand, qciImagePullerCommand, type Subject } from '../access/grant-commands.ts'
import { serviceAccountOf } from '../access/identity.ts'
import { printableAscii } from '../oci/printable.ts'

/** `release-repo`: app.ci, whose RBAC comes from https://github.com/openshift/release. */
export type GrantAdviceForm = 'oc-policy' | 'release-repo'

export interface WantedGrant {
  readonly username: string
  /** Undefined: only QCI-wide access opens the image. */
  readonly namespace: string | undefined
  readonly isRestricted: boolean
}

export type GrantAdvice = (wanted: WantedGrant) => string

export const createGrantAdvice =
  (form: GrantAdviceForm, qciNamespace: string): GrantAdvice =>
  (wanted) => {
    const grant = grantOf(wanted)
    return form === 'release-repo' ? pullRequest(grant) : command(grant, qciNamespace)
  }

interface Grant {
  readonly subject: Subject
  /** Undefined: QCI-wide. */
  readonly namespace: string | undefined
}

/**
 * People get QCI-wide access by a group, because one grant serves them for all images. A service account gets the namespace it needs. For
 * an image without a namespace, or of a restricted one, there is only one way.
 */
const grantOf = ({ username, namespace, isRestricted }: WantedGrant): Grant => {
  const isAccount = serviceAccountOf(username) !== undefined
  const subject: Subject = { kind: isAccount ? 'user' : 'group-of', name: username }
  return { subject, namespace: isAccount || isRestricted ? namespace : undefined }
}

const command = ({ subject, namespace }: Grant, qciNamespace: string): string =>
  namespace === undefined
    ? `ask an administrator of namespace ${qciNamespace} to run: ${qciImagePullerCommand(subject, qciNamespace)}`
    : `ask an administrator of namespace ${namespace} to run: ${imagePullerCommand(subject, namespace)}`

const pullRequest = ({ subject, namespace }: Grant): string => {
  const who = subjectText(subject)
  return namespace === undefined
    ? `open a pull request for https://github.com/openshift/release that adds ${who} to the subjects in clusters/app.ci/assets/admin_qci-image-puller_rbac.yaml`
    : `open a pull request for https://github.com/openshift/release that adds ${who} to the subjects of a RoleBinding of system:image-puller in namespace ${namespace}, below clusters/app.ci/registry-access/${namespace}`
}

const subjectText = ({ name }: Subject): string => {
  const account = serviceAccountOf(name)
  return account === undefined
    ? `a group of ${printableAscii(name)}`
    : `the ServiceAccount ${account.name} of namespace ${account.namespace}`
}
