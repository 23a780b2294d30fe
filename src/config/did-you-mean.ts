/**
 * Suggests the name that a mistyped one was meant to be.
 */
import { closest, distance } from 'fastest-levenshtein'

/**
 * A question for the end of a message.
 * @param prefix stands before each name on the command line: `--`
 * @returns `; did you mean --listen-addr?`, or `;` if no name is near
 */
export const didYouMean = (typed: string, names: readonly string[], prefix = ''): string => {
  if (names.length === 0) return ';'
  const nearest = names.find((name) => isExchange(typed, name)) ?? closest(typed, names)
  // A typing error changes a letter or two, or exchanges neighbors; a third of a short name is another name.
  const most = Math.min(3, Math.max(1, Math.floor(typed.length / 3)))
  const isNear = isExchange(typed, nearest) || (typed !== '' && distance(typed, nearest) <= most)
  return isNear ? `; did you mean ${prefix}${nearest}?` : ';'
}

/** Whether two neighbors are exchanged: `prot` for `port`. For Levenshtein, these are two errors. */
const isExchange = (typed: string, name: string): boolean => {
  const [at, next, ...more] = Array.from(typed).flatMap((letter, index) =>
    letter === name[index] ? [] : [index],
  )
  if (at === undefined || next !== at + 1 || more.length > 0) return false
  return typed.length === name.length && typed[at] === name[next] && typed[next] === name[at]
}
