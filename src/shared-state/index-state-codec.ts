/** The state of the walk as text, for the store and for the state directory. An invalid text is undefined. */
import type { IndexState } from '../digests/restricted-index/index-state.ts'

export const printIndexState = (state: IndexState): string => JSON.stringify(state)

export const parseIndexState = (text: string): IndexState | undefined => {
  try {
    const value = JSON.parse(text) as Partial<Record<keyof IndexState, unknown>> | null
    if (value === null || typeof value !== 'object') return undefined
    const { liveCompleteAt, datedCompleteAt, datedSeenUpTo, namespaces, hasUnread, patterns } = value
    return isTime(liveCompleteAt) &&
      isTime(datedCompleteAt) &&
      typeof datedSeenUpTo === 'string' &&
      Array.isArray(namespaces) &&
      namespaces.every((namespace): namespace is string => typeof namespace === 'string')
      ? {
          liveCompleteAt,
          datedCompleteAt,
          datedSeenUpTo,
          namespaces,
          ...(hasUnread === true ? { hasUnread } : {}),
          ...(typeof patterns === 'string' ? { patterns } : {}),
        }
      : undefined
  } catch {
    return undefined
  }
}

/** The state as that of another configuration: a replica that reads it walks by itself. */
export const ofUnknownPatterns = ({ patterns: _patterns, ...others }: IndexState): IndexState => others

const isTime = (value: unknown): value is number | undefined =>
  value === undefined || (typeof value === 'number' && Number.isFinite(value))
