/**
 * The log line of a difference. The proxy writes it and the report reads it: both use this file, so they cannot differ.
 */
import type { GrantingRole } from './shadow-decision.ts'
import type { IdentityKind } from '../access/identity.ts'
import { isNamespace } from '../oci/qci-tag.ts'
import { explanationPaths } from '../registry/route-paths.ts'
import { differences, type Difference } from './difference.ts'
import { printableAscii } from '../oci/printable.ts'

export const auditMessage = 'audit'

export interface AuditLine {
  readonly difference: Difference
  readonly requestId: string
  readonly identity: string
  readonly kind: IdentityKind
  readonly namespace: string | undefined
  /** The QCI tag or the digest of the request. */
  readonly image: string
  readonly digest: string | undefined
  /** The rule that allows the request, in the one of the two decisions that does. */
  readonly rule: string | undefined
  /** Each of these roles opens the image under `--authorization=enforce`. */
  readonly openedBy: readonly GrantingRole[]
}

/** A line as the report reads it, with the time of the logger. */
export interface LoggedAuditLine extends Omit<AuditLine, 'rule' | 'requestId' | 'digest'> {
  readonly time: string
}

export type LoggedLine =
  | { readonly sort: 'audit'; readonly line: LoggedAuditLine }
  /** The line of a request with a decision. */
  | { readonly sort: 'decided'; readonly time: string }
  | { readonly sort: 'other' }
  | { readonly sort: 'unreadable' }

/** Routes that decide without a pull. */
const explanations: ReadonlySet<unknown> = new Set(Object.values(explanationPaths))

/** Log collectors write text before the JSON: the name of a pod, a time, `stdout F`. */
export const parseLine = (text: string): LoggedLine => {
  const record = parseRecord(text)
  if (record === undefined) return { sort: 'unreadable' }
  const { msg, time, decision, route } = record
  const isPull = typeof decision === 'string' && !explanations.has(route)
  if (msg === 'request' && isPull && isTime(time)) return { sort: 'decided', time }
  if (msg !== auditMessage) return { sort: 'other' }
  const line = parseAuditLine(record)
  return line === undefined ? { sort: 'unreadable' } : { sort: 'audit', line }
}

const parseRecord = (text: string): Readonly<Record<string, unknown>> | undefined => {
  const start = text.indexOf('{')
  if (start === -1) return undefined
  try {
    return JSON.parse(text.slice(start)) as Readonly<Record<string, unknown>>
  } catch {
    return undefined
  }
}

const parseAuditLine = (record: Readonly<Record<string, unknown>>): LoggedAuditLine | undefined => {
  const { identity, image, namespace, openedBy, time } = record
  const difference = differences.find((known) => known === record['difference'])
  const kind = kinds.find((known) => known === record['kind'])
  if (difference === undefined || kind === undefined || !isTime(time)) return undefined
  if (typeof identity !== 'string' || typeof image !== 'string') return undefined
  if (namespace !== undefined && !isNamespaceText(namespace)) return undefined
  const opens: readonly unknown[] = Array.isArray(openedBy) ? openedBy : []
  return {
    difference,
    kind,
    time,
    identity: printable(identity),
    image: printable(image),
    namespace,
    openedBy: grants.filter((grant) => opens.includes(grant)),
  }
}

const kinds: readonly IdentityKind[] = ['user', 'service-account', 'robot', 'anonymous']
const grants: readonly GrantingRole[] = ['image-puller', 'qci-wide']

/** Attack: a log of unknown origin. The report prints its namespaces in commands. */
const isNamespaceText = (value: unknown): value is string => typeof value === 'string' && isNamespace(value)

const isTime = (value: unknown): value is string =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)

/** Attack: a name with escape sequences for the operator's terminal. */
const printable = (text: string): string => printableAscii(text.slice(0, 300))
