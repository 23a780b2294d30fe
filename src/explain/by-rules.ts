/**
 * Explains the rules for a reference, without a user: it prints which reviews open the image, and does not say who may pull. It uses the
 * requirement of the proxy, but has no facts about digests, and no network.
 */
import { createTagOwner } from '../oci/qci-tag.ts'
import type { ImageStream, Reference } from '../oci/reference.ts'
import { imagePullerCommand, qciImagePullerCommand, type Subject } from '../access/grant-commands.ts'
import { createRequirements, nothingKnown, type AccessRequirement } from '../access/requirement.ts'
import { createGrantAdvice, type GrantAdviceForm } from './grant-advice.ts'
import { readImage } from './read-image.ts'

export interface RulesOptions {
  readonly isRestricted: (namespace: string) => boolean
  readonly unknownDigests: 'allow' | 'deny'
  readonly qciNamespace: string
  /** `openshift/ci` */
  readonly monorepo: string
  /** The host of this proxy. */
  readonly exposedHost: string
  readonly grantAdvice: GrantAdviceForm
}

/** First the pull command, last what to do next. @throws {RegistryError} if the text is no reference of QCI */
export const explainByRules = (text: string, options: RulesOptions): string => {
  const ownerOf = createTagOwner(options.isRestricted)
  const { reference, pullSpec } = readImage(text, { ...options, ownerOf })
  const requirement = createRequirements({ ...options, knowledge: nothingKnown }).reference(reference)
  return [
    `podman pull ${pullSpec}`,
    ...identityOf(reference, requirement, options),
    '',
    ...ways(reference, requirement, options),
    '',
    'Who you are, and so whether you may pull it, only a proxy knows.',
    `Next: quay-proxy explain ${pullSpec} --server https://${options.exposedHost}`,
  ].join('\n')
}

const identityOf = (
  reference: Reference,
  { namespace }: AccessRequirement,
  options: RulesOptions,
): readonly string[] => [
  reference.kind === 'tag' ? row('QCI tag', reference.qciTag) : row('digest', reference.digest),
  ...imageStreamRow(reference),
  row(
    'namespace',
    namespace ?? (isByDigest(reference) ? 'those that the digest was seen in' : withoutNamespace),
  ),
  row('restricted', restriction(reference, options)),
]

const withoutNamespace = 'none: no namespace owns the tag, so only QCI-wide access opens it'

const restriction = (reference: Reference, { isRestricted }: RulesOptions): string => {
  if (reference.kind === 'digest' || reference.owner.by === 'digest')
    return 'if every namespace that the digest was seen in is: QCI-wide access does not open it then'
  const { owner, qciTag } = reference
  if (owner.by === 'qci')
    return 'if a restricted tag reaches the same image: QCI-wide access does not open it then'
  if (!isRestricted(owner.imageStream.namespace)) return 'no'
  const by = isByPart(qciTag, owner.imageStream) ? `, by its part ${owner.imageStream.namespace}` : ''
  return `yes${by}: QCI-wide access does not open it`
}

/** Whether the tag belongs to the namespace only because a part of the tag names this restricted namespace. */
const isByPart = (qciTag: string, { namespace }: ImageStream): boolean => {
  const otherwise = createTagOwner(() => false)(qciTag)
  return otherwise.by !== 'image-stream' || otherwise.imageStream.namespace !== namespace
}

const imageStreamRow = (reference: Reference): readonly string[] => {
  if (reference.kind === 'digest') return []
  const { owner } = reference
  if (owner.by === 'digest') return [row('stands for', owner.digest)]
  if (owner.by === 'qci' || isByPart(reference.qciTag, owner.imageStream))
    return [row('image stream', 'none')]
  return [
    row('image stream', owner.imageStream.name ?? 'not certain: the tag can be split in more than one way'),
  ]
}

const row = (name: string, value: string): string => `  ${name.padEnd(14)}${value}`

const isByDigest = (reference: Reference): boolean =>
  reference.kind === 'digest' || reference.owner.by === 'digest'

const serviceAccount: Subject = { kind: 'user', name: 'system:serviceaccount:NAMESPACE:NAME' }
const person: Subject = { kind: 'group-of', name: 'whoever is to pull it' }

/** The reviews that open the reference, in the order of the proxy. */
const ways = (
  reference: Reference,
  { imageStreams, qciWide }: AccessRequirement,
  { qciNamespace, grantAdvice }: RulesOptions,
): readonly string[] => {
  const grants = grantsBy(grantAdvice, qciNamespace)
  const imagePuller = (namespace: string) =>
    [person, serviceAccount].map((subject) => grants.imagePuller(subject, namespace))
  const qciWideCommands = [person, serviceAccount].map(grants.qciImagePuller)
  const byDigest = isByDigest(reference)
  // Here every digest is unseen, so --unknown-digests=deny closes it; in the proxy it may have been seen.
  const onceSeen = qciWide ? '' : ', if it was seen in a namespace that is not restricted'
  return [
    'Whoever gets a yes to one of these SubjectAccessReviews may pull it:',
    ...(qciWide || byDigest ? way({ namespace: qciNamespace }, qciWideCommands, onceSeen) : []),
    ...imageStreams.flatMap((imageStream) => way(imageStream, imagePuller(imageStream.namespace))),
    ...(byDigest ? whereSeen(reference, imagePuller) : []),
  ]
}

/** A command, or a pull request. */
const grantsBy = (form: GrantAdviceForm, qciNamespace: string) => {
  if (form === 'oc-policy')
    return {
      imagePuller: imagePullerCommand,
      qciImagePuller: (subject: Subject) => qciImagePullerCommand(subject, qciNamespace),
    }
  const advice = createGrantAdvice(form, qciNamespace)
  return {
    imagePuller: ({ name: username }: Subject, namespace: string) =>
      advice({ username, namespace, isRestricted: true }),
    qciImagePuller: ({ name: username }: Subject) =>
      advice({ username, namespace: undefined, isRestricted: false }),
  }
}

const way = (
  { namespace, name }: ImageStream,
  commands: readonly string[],
  condition = '',
): readonly string[] => [
  `  get imagestreams/layers of image.openshift.io in namespace ${namespace}${name === undefined ? '' : `, named ${name}`}${condition}`,
  ...commands.map((command) => `      ${command}`),
]

/** The proxy knows the namespaces where a digest was seen; here only the namespace of the reference is known. */
const whereSeen = (
  { repository }: Reference,
  commandsFor: (namespace: string) => readonly string[],
): readonly string[] => {
  const namespace = repository.form === 'monorepo' ? 'NAMESPACE' : repository.namespace
  return way({ namespace }, commandsFor(namespace), ', if the digest was seen in it')
}
