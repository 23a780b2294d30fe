/**
 * The report: which users would lose access to which namespaces, and which binding would prevent it. It is built line by line, so its
 * memory depends on the number of losses, not on the length of the log.
 */
import { imagePullerCommand, qciImagePullerCommand, type Subject } from '../access/grant-commands.ts'
import { serviceAccountOf, type IdentityKind } from '../access/identity.ts'
import { parseLine, type LoggedAuditLine } from './audit-line.ts'

export interface Report {
  /** Lines of the log: all of them, those of decided requests, and those that are no JSON or have an unknown form. */
  readonly lines: { readonly all: number; readonly decided: number; readonly unreadable: number }
  /** Times of the first and the last counted line; undefined without such a line. */
  readonly from: string | undefined
  readonly to: string | undefined
  readonly losses: readonly Loss[]
  /** Requests that are refused now, and that `enforce` would allow. */
  readonly gained: number
  /** Requests without a shadow decision, because the reviews failed. */
  readonly undecided: number
}

/** The access that one person, or the service accounts of one namespace, would lose to one namespace of images. */
export interface Loss {
  readonly kind: IdentityKind
  /** The namespace of the service accounts; undefined for people. */
  readonly serviceAccountNamespace: string | undefined
  readonly identities: Readonly<Record<string, number>>
  /** The namespace of the images; undefined if it is unknown. */
  readonly namespace: string | undefined
  readonly count: number
  /** Up to five of the images. */
  readonly images: readonly string[]
  readonly lastSeen: string
  /** Commands that create bindings; each prevents the whole loss for its subject. Empty if no binding does. */
  readonly keptBy: readonly string[]
}

export interface ReportBuilder {
  /** Adds a line of the log; undefined for a line over the length limit. */
  readonly add: (text: string | undefined) => void
  readonly report: () => Report
}

interface Group {
  readonly line: LoggedAuditLine
  readonly serviceAccountNamespace: string | undefined
  readonly identities: Map<string, number>
  readonly images: Set<string>
  count: number
  lastSeen: string
}

const maxImages = 5

export const createReportBuilder = (qciNamespace: string): ReportBuilder => {
  const groups = new Map<string, Group>()
  const counted = { all: 0, decided: 0, unreadable: 0, gained: 0, undecided: 0 }
  let from: string | undefined
  let to: string | undefined

  const noteTime = (time: string): void => {
    // ISO 8601 times in UTC sort as text. The concatenated logs of replicas are not in order.
    if (from === undefined || time < from) from = time
    if (to === undefined || time > to) to = time
  }
  const addAudit = (line: LoggedAuditLine): void => {
    noteTime(line.time)
    if (line.difference === 'gain') counted.gained++
    else if (line.difference === 'undecided') counted.undecided++
    else addLoss(groups, line)
  }
  return {
    add: (text) => {
      counted.all++
      const parsed = text === undefined ? { sort: 'unreadable' as const } : parseLine(text)
      if (parsed.sort === 'unreadable') counted.unreadable++
      else if (parsed.sort === 'audit') addAudit(parsed.line)
      else if (parsed.sort === 'decided') {
        counted.decided++
        noteTime(parsed.time)
      }
    },
    report: () => {
      const { gained, undecided, ...lines } = counted
      const losses = [...groups.values()].map((group) => lossOf(group, qciNamespace))
      const sorted = losses.toSorted((a, b) => b.count - a.count || (a.lastSeen < b.lastSeen ? 1 : -1))
      return { lines, from, to, losses: sorted, gained, undecided }
    },
  }
}

const addLoss = (groups: Map<string, Group>, line: LoggedAuditLine): void => {
  const serviceAccountNamespace = serviceAccountOf(line.identity)?.namespace
  // Losses that a binding in the namespace can prevent are separate groups.
  const key = JSON.stringify([serviceAccountNamespace ?? line.identity, line.namespace, line.openedBy])
  const group = groups.get(key) ?? {
    line,
    serviceAccountNamespace,
    identities: new Map<string, number>(),
    images: new Set<string>(),
    count: 0,
    lastSeen: line.time,
  }
  groups.set(key, group)
  group.count++
  group.identities.set(line.identity, (group.identities.get(line.identity) ?? 0) + 1)
  if (line.time > group.lastSeen) group.lastSeen = line.time
  if (group.images.size < maxImages) group.images.add(line.image)
}

const lossOf = (group: Group, qciNamespace: string): Loss => {
  const { line, serviceAccountNamespace, identities, images, count, lastSeen } = group
  return {
    kind: line.kind,
    serviceAccountNamespace,
    identities: Object.fromEntries([...identities].toSorted(([, a], [, b]) => b - a)),
    namespace: line.namespace,
    count,
    images: [...images],
    lastSeen,
    keptBy: subjectsOf(group).flatMap((subject) => commandOf(subject, line, qciNamespace) ?? []),
  }
}

/** Service accounts are bound by name; people by a group, because a binding to a person outlasts their job. */
const subjectsOf = ({ line, serviceAccountNamespace, identities }: Group): readonly Subject[] => {
  if (serviceAccountNamespace === undefined) return [{ kind: 'group-of', name: line.identity }]
  return [...identities.keys()].map((name) => ({ kind: 'user', name }))
}

/** The binding with the least access that is enough. */
const commandOf = (
  subject: Subject,
  { namespace, openedBy }: LoggedAuditLine,
  qciNamespace: string,
): string | undefined => {
  // People get QCI-wide access by a group, so that role comes first for them.
  const preferred = subject.kind === 'group-of' ? openedBy.toReversed() : openedBy
  const [grant] = preferred
  if (grant === 'qci-wide') return qciImagePullerCommand(subject, qciNamespace)
  return grant === undefined || namespace === undefined ? undefined : imagePullerCommand(subject, namespace)
}
