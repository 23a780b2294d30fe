/**
 * Splits a stream of text into lines. It holds one line at a time, and drops lines over the length limit.
 */

/** Characters. The longest line of the proxy has a few thousand. */
export const maxLineLength = 256 * 1024

/** Lines without their line end; undefined for a line over the limit. Empty lines are left out. */
export async function* splitLines(chunks: AsyncIterable<string>): AsyncGenerator<string | undefined> {
  let rest = ''
  let tooLong = false
  for await (const chunk of chunks) {
    const [first = '', ...others] = chunk.split('\n')
    rest += tooLong ? '' : first
    for (const next of others) {
      if (tooLong || rest.length > maxLineLength) yield undefined
      else if (rest.trim() !== '') yield rest
      tooLong = false
      rest = next
    }
    if (rest.length > maxLineLength) {
      tooLong = true
      rest = ''
    }
  }
  if (tooLong) yield undefined
  else if (rest.trim() !== '') yield rest
}
