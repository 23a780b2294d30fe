import { printableAscii } from './printable.ts'

/** Quotes a client's own text in a message or a log line. Attack: a long text, or control characters that forge a line in a terminal. */
export const quoteName = (text: string): string => {
  const short = text.length > 80 ? `${text.slice(0, 80)}...` : text
  return JSON.stringify(printableAscii(short))
}
