/**
 * The progress of the restricted index of a proxy, from `/readyz?verbose` and its log. A proxy that does not mention an index has none.
 */
import { readFileSync } from 'node:fs'

/** `none`: the proxy does not mention an index. */
export type Progress = 'none' | 'partial' | 'whole'

const subject = /restricted[\s_-]?index/i
const isWhole = /\b(?:whole|all tags followed)\b/i
const isNot = /\b(?:not|no|in)[\s-]?(?:yet[\s-])?whole\b/i

/** @param line one line of text, or a value of JSON, about the index */
const progressOf = (line: string): Progress => (isWhole.test(line) && !isNot.test(line) ? 'whole' : 'partial')

/** @param text of `/readyz?verbose`: JSON with a key such as `restrictedIndex`, or lines such as `restricted index: whole` */
export const progressIn = (text: string): Progress => {
  const value = restrictedIndexOf(parsed(text))
  if (value !== undefined) return progressOfValue(value)
  const line = text.split('\n').find((one) => subject.test(one))
  return line === undefined ? 'none' : progressOf(line)
}

/** @param log file of a proxy, lines of JSON: the last one whose `msg` is about the index counts */
export const progressInLog = (log: string): Progress => {
  const messages = readFileSync(log, 'utf8')
    .split('\n')
    .map((line) => (parsed(line) as { readonly msg?: unknown } | undefined)?.msg)
    .filter((msg): msg is string => typeof msg === 'string' && subject.test(msg))
  const last = messages.at(-1)
  return last === undefined ? 'none' : progressOf(last)
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The value of the first key, however deep, that names the index. */
const restrictedIndexOf = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, inner] of Object.entries(value)) {
    const found = subject.test(key) ? (inner as unknown) : restrictedIndexOf(inner)
    if (found !== undefined) return found
  }
  return undefined
}

const progressOfValue = (value: unknown): Progress => {
  if (typeof value === 'string') return progressOf(value)
  const held = (value ?? {}) as Readonly<Record<string, unknown>>
  return ['hasFollowedAll', 'isWhole', 'whole'].some((key) => held[key] === true) ? 'whole' : 'partial'
}
