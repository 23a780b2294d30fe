/**
 * A problem in the configuration of the mirror: its position, its effect, and what to write instead.
 */

/** Both from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

export interface Problem {
  /** A warning is about an entry that works, but perhaps not as its author intends. */
  readonly severity: 'error' | 'warning'
  readonly position: Position
  /** The entry with the problem, `section[key]`: the same in each version of the file. */
  readonly subject: string
  /** A sentence without its full stop. */
  readonly message: string
  /** What to do about it: a sentence without its full stop, in the imperative. */
  readonly cure: string
}

/** In the format of compilers, so that editors can jump to the line. @param path as the user gave it */
export const formatProblem = (path: string, { position, message, cure }: Problem): string =>
  `${path}:${position.line}:${position.column}: ${message}; ${cure}`

/** In the order of the file. */
export const inOrder = (problems: readonly Problem[]): readonly Problem[] =>
  problems.toSorted(
    (one, other) =>
      one.position.line - other.position.line ||
      one.position.column - other.position.column ||
      one.message.localeCompare(other.message, 'en'),
  )
