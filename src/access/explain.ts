/**
 * What decides about a reference, for a person who asks on the command line: by the same doors that the proxy looks at, with no
 * digest known yet. No network.
 */
import { parseReference, parseRepository, type ImageStream, type Reference } from '../reference.ts'
import { imagePullerCommand, qciImagePullerCommand, type Subject } from './commands.ts'
import { createDoors, nothingKnown, type Doors } from './doors.ts'

export interface ExplainOptions {
  readonly isRestricted: (namespace: string) => boolean
  readonly unknownDigests: 'allow' | 'deny'
  readonly qciNamespace: string
  /** `openshift/ci` */
  readonly monorepo: string
}

/** @throws {Error} where the text is no reference of QCI */
export const explain = (text: string, options: ExplainOptions): string => {
  const reference = parse(text, options.monorepo)
  const doors = createDoors({ ...options, knowledge: nothingKnown }).reference(reference)
  return [text, ...identityOf(reference, doors, options), '', ...ways(reference, doors, options)].join('\n')
}

/** As people write it: a registry in front, a tag or a digest behind; a digest alone is one of the monorepo. */
const parse = (text: string, monorepo: string): Reference => {
  const full = /^sha\d+:[^/]*$/.test(text) ? `${monorepo}@${text}` : text.replace(/^docker:\/\//, '')
  const [path = '', digest] = full.split('@')
  const [last = '', namespace] = path.split('/').toReversed()
  const [name = '', tag] = last.split(':')
  if (namespace === undefined)
    throw new Error(
      `${JSON.stringify(text)} is not a reference; expected ocp/4.5:base, ${monorepo}:ocp_4.5_base or ${monorepo}@sha256:...`,
    )
  // With both, clients ask for the digest; with neither, for latest.
  return parseReference(parseRepository(namespace, name, monorepo), digest ?? tag ?? 'latest')
}

const identityOf = (
  reference: Reference,
  { namespace }: Doors,
  { isRestricted }: ExplainOptions,
): readonly string[] => [
  reference.kind === 'tag' ? row('QCI tag', reference.qciTag) : row('digest', reference.digest),
  ...imageStreamRow(reference),
  row('namespace', namespace ?? (isByDigest(reference) ? 'those that the digest was seen in' : 'none')),
  row('restricted', restriction(namespace, isRestricted, isByDigest(reference))),
]

const restriction = (
  namespace: string | undefined,
  isRestricted: ExplainOptions['isRestricted'],
  byDigest: boolean,
): string => {
  if (byDigest)
    return 'if every namespace that the digest was seen in is: QCI-wide access does not open it then'
  return namespace !== undefined && isRestricted(namespace) ? 'yes: QCI-wide access does not open it' : 'no'
}

const imageStreamRow = (reference: Reference): readonly string[] => {
  if (reference.kind === 'digest') return []
  const { owner } = reference
  if (owner.by === 'digest') return [row('stands for', owner.digest)]
  if (owner.by === 'qci') return [row('image stream', 'none')]
  return [
    row('image stream', owner.imageStream.name ?? 'not certain: the tag can be split in more than one way'),
  ]
}

const row = (name: string, value: string): string => `  ${name.padEnd(14)}${value}`

const isByDigest = (reference: Reference): boolean =>
  reference.kind === 'digest' || reference.owner.by === 'digest'

const serviceAccount: Subject = { sort: 'user', name: 'system:serviceaccount:NAMESPACE:NAME' }
const person: Subject = { sort: 'group-of', name: 'whoever is to pull it' }

/** In the order in which they are asked. */
const ways = (
  reference: Reference,
  { imageStreams, qciWide }: Doors,
  { qciNamespace }: ExplainOptions,
): readonly string[] => {
  const imagePuller = (namespace: string) =>
    [person, serviceAccount].map((subject) => imagePullerCommand(subject, namespace))
  const qciWideCommands = [person, serviceAccount].map((subject) =>
    qciImagePullerCommand(subject, qciNamespace),
  )
  const byDigest = isByDigest(reference)
  // No digest is known here, which is what closes it under --unknown-digests=deny.
  const onceSeen = qciWide ? '' : ', if it was seen in a namespace that is not restricted'
  return [
    'Whoever gets a yes to one of these SubjectAccessReviews may pull it:',
    ...(qciWide || byDigest ? way({ namespace: qciNamespace }, qciWideCommands, onceSeen) : []),
    ...imageStreams.flatMap((imageStream) => way(imageStream, imagePuller(imageStream.namespace))),
    ...(byDigest ? whereSeen(reference, imagePuller) : []),
  ]
}

const way = (
  { namespace, name }: ImageStream,
  commands: readonly string[],
  condition = '',
): readonly string[] => [
  `  get imagestreams/layers of image.openshift.io in namespace ${namespace}${name === undefined ? '' : `, named ${name}`}${condition}`,
  ...commands.map((command) => `      ${command}`),
]

/** A running proxy knows where a digest was seen; here the namespace is known only if the reference has one. */
const whereSeen = (
  { repository }: Reference,
  commandsFor: (namespace: string) => readonly string[],
): readonly string[] => {
  const namespace = repository.form === 'monorepo' ? 'NAMESPACE' : repository.namespace
  return way({ namespace }, commandsFor(namespace), ', if the digest was seen in it')
}
