/**
 * A foreign text for a terminal or a log. Attack: control characters would forge a line there.
 */
export const printable = (text: string): string => text.replaceAll(/\p{C}/gu, '?')
