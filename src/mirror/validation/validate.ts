/**
 * Finds all problems of a configuration. If the previous version is given, only problems that a change adds are errors.
 */
import { parseMirrorConfig } from '../config/parse.ts'
import { inOrder, type Problem } from '../config/problem.ts'
import { checkCircles } from './circles.ts'
import { checkCollisions, type PromotedTags } from './collisions.ts'
import { checkSources } from './sources.ts'
import { checkTargets } from './targets.ts'

export interface ValidateOptions {
  readonly promoted?: PromotedTags
  /** The text of the previous version. */
  readonly base?: string | undefined
}

export interface Validation {
  readonly problems: readonly Problem[]
  /** Whether no problem is an error. */
  readonly isValid: boolean
}

/** In the order of the file. */
export const validate = (text: string, { promoted = new Map(), base }: ValidateOptions = {}): Validation => {
  const old = new Set(base === undefined ? [] : problemsOf(base, promoted).map(keyOf))
  const problems = problemsOf(text, promoted).map((problem) =>
    problem.severity === 'error' && old.has(keyOf(problem)) ? asOld(problem) : problem,
  )
  return validationOf(problems)
}

/** @param more problems of another check */
export const withProblems = ({ problems }: Validation, more: readonly Problem[]): Validation =>
  validationOf([...problems, ...more])

const validationOf = (problems: readonly Problem[]): Validation => ({
  problems: inOrder(problems),
  isValid: problems.every(({ severity }) => severity !== 'error'),
})

const problemsOf = (text: string, promoted: PromotedTags): readonly Problem[] => {
  const { config, problems } = parseMirrorConfig(text)
  return [
    ...problems,
    ...checkTargets(config),
    ...checkSources(config),
    ...checkCollisions(config, promoted),
    ...checkCircles(config),
  ]
}

/** A change moves lines, but the entry and its sentence stay the same. Positions within the sentence can change as well. */
const keyOf = ({ subject, message }: Problem): string => `${subject} ${message.replaceAll(/line \d+/g, '')}`

const asOld = (problem: Problem): Problem => ({
  ...problem,
  severity: 'warning',
  message: `${problem.message} (this was so before the change)`,
})
