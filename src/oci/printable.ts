/**
 * Makes a foreign text safe for a log line, a message or a command. Attack: control characters forge a line in a terminal, and look-alike
 * characters forge a name.
 */
export const printableAscii = (text: string): string =>
  // Nearly every text is printable, and the search alone is cheaper.
  unprintable.test(text) ? text.replaceAll(/[^\x20-\x7e]/g, '?') : text

const unprintable = /[^\x20-\x7e]/
