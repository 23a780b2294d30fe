/**
 * Who would lose what, and which binding would keep it: summed up line by line, so that what is held depends on how many would
 * lose something, and not on how long the log is.
 */
import { imagePullerCommand, qciImagePullerCommand, type Subject } from '../access/commands.ts'
import { serviceAccountOf, type IdentityKind } from '../access/identity.ts'
import { parseLine, type LoggedAuditLine } from './audit-line.ts'

export interface Report {
  /** Of the log: lines in all, of them those of decided requests, and those that are no JSON, or of an unknown form. */
  readonly lines: { readonly all: number; readonly decided: number; readonly unreadable: number }
  /** Times of the first and the last line that counts; undefined where there is none. */
  readonly from: string | undefined
  readonly to: string | undefined
  readonly losses: readonly Loss[]
  /** Requests that are refused, and would not be. */
  readonly gained: number
  /** Requests for which the rules to come could not be asked. */
  readonly undecided: number
}

/** What the service accounts of a namespace, or one person, would lose of a namespace. */
export interface Loss {
  readonly kind: IdentityKind
  /** Of the service accounts; undefined for people. */
  readonly serviceAccountNamespace: string | undefined
  readonly identities: Readonly<Record<string, number>>
  /** Of the images; undefined where none is known. */
  readonly namespace: string | undefined
  readonly count: number
  /** Some of what was asked for. */
  readonly images: readonly string[]
  readonly lastSeen: string
  /** Each keeps all of it for whom it names. Empty where no binding does. */
  readonly keptBy: readonly string[]
}

export interface Summing {
  /** A line of the log; undefined for one that is too long to be read. */
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

export const createSumming = (qciNamespace: string): Summing => {
  const groups = new Map<string, Group>()
  const counted = { all: 0, decided: 0, unreadable: 0, gained: 0, undecided: 0 }
  let from: string | undefined
  let to: string | undefined

  const noteTime = (time: string): void => {
    // ISO 8601 in UTC sorts as text. The logs of replicas, one after the other, are not in order.
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
  // What can be bound in a namespace is apart from what cannot.
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

/** A service account by its name; a person by a group, since bindings to people outlast their work. */
const subjectsOf = ({ line, serviceAccountNamespace, identities }: Group): readonly Subject[] => {
  if (serviceAccountNamespace === undefined) return [{ sort: 'group-of', name: line.identity }]
  return [...identities.keys()].map((name) => ({ sort: 'user', name }))
}

/** The narrowest binding that is enough. */
const commandOf = (
  subject: Subject,
  { namespace, openedBy }: LoggedAuditLine,
  qciNamespace: string,
): string | undefined => {
  // People are let into all of QCI by a group; it is what it does not open that needs a binding of its own.
  const preferred = subject.sort === 'group-of' ? openedBy.toReversed() : openedBy
  const [grant] = preferred
  if (grant === 'qci-wide') return qciImagePullerCommand(subject, qciNamespace)
  return grant === undefined || namespace === undefined ? undefined : imagePullerCommand(subject, namespace)
}
