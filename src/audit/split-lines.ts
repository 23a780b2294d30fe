/**
 * A stream of text, line by line, however long: one line is held at a time, and one that never ends is not.
 */

/** Characters. The longest line that the proxy writes has a few thousand. */
export const maxLineLength = 256 * 1024

/** Lines without their end; undefined for one that is too long to be ours. Empty ones are left out. */
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
