/**
 * Builds HTML text: every value in a template is escaped, unless it is already HTML. No other function escapes.
 */

/** Text that is HTML. Only `html` and `trusted` create it. */
export class Html {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

export type Content = string | number | Html | undefined | readonly Content[]

/** Attack: a name with `<script>`. Values belong between tags, or into attributes with double quotes. */
export const html = (strings: TemplateStringsArray, ...values: readonly Content[]): Html =>
  new Html(strings.map((text, index) => `${text}${textOf(values[index])}`).join(''))

/** For text of this program that is already HTML, CSS or a script. Never call it with foreign text. */
export const trusted = (text: string): Html => new Html(text)

const textOf = (content: Content): string => {
  if (content === undefined) return ''
  if (typeof content === 'object')
    return content instanceof Html ? content.toString() : content.map(textOf).join('')
  return escapeHtml(String(content))
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (character) => `${entities[character]}`)
