/**
 * What is wrong in the configuration of the mirror: where it stands, what it does, and what to write.
 */

/** Both from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

export interface Problem {
  /** A warning is about an entry that works, and perhaps not as its author means it. */
  readonly severity: 'error' | 'warning'
  readonly position: Position
  /** The entry that it is about, `section[key]`: the same in each version of the file. */
  readonly subject: string
  /** A sentence without its end. */
  readonly message: string
  /** What to do about it: a sentence without its end, in the imperative. */
  readonly cure: string
}

/** As a compiler tells it, for editors that jump to the place. @param path as the person gave it */
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
