/**
 * The problems of a configuration as text: for a person, for a program, or as annotations of a pull request.
 * @see https://docs.github.com/actions/reference/workflow-commands-for-github-actions#setting-an-error-message
 */
import type { Problem } from '../config/problem.ts'
import type { Validation } from './validate.ts'
import { printable } from '../printable.ts'

export const reportFormats = ['plain', 'json', 'github'] as const
export type ReportFormat = (typeof reportFormats)[number]

/** @param file as the report names it. @returns lines without the end of the last one */
export const formatReport = (file: string, validation: Validation, format: ReportFormat): string => {
  const { problems, isValid } = validation
  if (format === 'json')
    return JSON.stringify({
      file,
      valid: isValid,
      problems: problems.map(({ position, ...problem }) => ({ ...position, ...problem })),
    })
  const lines = problems.map((problem) => (format === 'github' ? annotation : line)(file, problem))
  return [...lines, `${file}: ${summaryOf(validation)}`].join('\n')
}

const line = (file: string, { severity, position, message, cure }: Problem): string =>
  printable(`${file}:${position.line}:${position.column}: ${severity}: ${message}; ${cure}`)

const annotation = (file: string, { severity, position, subject, message, cure }: Problem): string => {
  const properties = { file, line: position.line, col: position.column, title: subject }
  const fields = Object.entries(properties).map(([name, value]) => `${name}=${escapeProperty(String(value))}`)
  return `::${severity} ${fields.join(',')}::${escapeData(`${message}; ${cure}`)}`
}

const summaryOf = ({ problems, isValid }: Validation): string => {
  const errors = problems.filter(({ severity }) => severity === 'error').length
  const warnings = problems.length - errors
  return `${isValid ? 'valid' : 'not valid'}, ${count(errors, 'error')}, ${count(warnings, 'warning')}`
}

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`

/** Attack: a key with a line break in it would begin a command of its own in the log of a workflow. */
const escapeData = (text: string): string =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')

const escapeProperty = (text: string): string =>
  escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
