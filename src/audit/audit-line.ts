/**
 * The line of a difference in the log: what the proxy writes and what the report reads, so that they cannot drift apart.
 */
import type { GrantingRole } from './shadow.ts'
import type { IdentityKind } from '../access/identity.ts'
import { isNamespace } from '../oci/qci-tag.ts'
import { differences, type Difference } from './difference.ts'

export const auditMessage = 'audit'

export interface AuditLine {
  readonly difference: Difference
  readonly requestId: string
  readonly identity: string
  readonly kind: IdentityKind
  readonly namespace: string | undefined
  /** The QCI tag that was asked for, or the digest. */
  readonly image: string
  readonly digest: string | undefined
  /** What opened it, under the one set of rules that did. */
  readonly rule: string | undefined
  /** The roles of which either opens it under the rules to come. */
  readonly openedBy: readonly GrantingRole[]
}

/** As it is read: with the time that the logger has put to it. */
export interface LoggedAuditLine extends Omit<AuditLine, 'rule' | 'requestId' | 'digest'> {
  readonly time: string
}

export type LoggedLine =
  | { readonly sort: 'audit'; readonly line: LoggedAuditLine }
  /** A request that was decided about. */
  | { readonly sort: 'decided'; readonly time: string }
  | { readonly sort: 'other' }
  | { readonly sort: 'unreadable' }

/** Whatever stands before the JSON was put there by who collected it: a pod's name, a time, `stdout F`. */
export const parseLine = (text: string): LoggedLine => {
  const record = parseRecord(text)
  if (record === undefined) return { sort: 'unreadable' }
  const { msg, time, decision } = record
  if (msg === 'request' && typeof decision === 'string' && isTime(time)) return { sort: 'decided', time }
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

/** Attack: a log may come from anywhere, and the report prints its namespaces in commands. */
const isNamespaceText = (value: unknown): value is string => typeof value === 'string' && isNamespace(value)

const isTime = (value: unknown): value is string =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)

/** Attack: a name with escape sequences that repaint the operator's terminal. */
const printable = (text: string): string => text.slice(0, 300).replaceAll(/[^\x20-\x7e]/g, '?')
