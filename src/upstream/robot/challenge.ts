/**
 * Parses a WWW-Authenticate challenge, RFC 9110 section 11.6.1: one challenge per line, as every registry sends it.
 */
export interface Challenge {
  readonly scheme: 'bearer' | 'basic'
  readonly realm?: string
  readonly service?: string
}

/** Characters. Quay's challenge has 90. The rest of a longer one is ignored. */
const maxLength = 4096
/**
 * A parameter, or the text between two. Each match begins where the last one ended, and none fails after it has read on, so every
 * character is read twice at most. Attack: 32 kB of names without a value, or of an unclosed quote, took 1.6 s.
 */
const parts = /([a-z_]+)=(?:"((?:[^"\\]|\\.?)*)("?)|([^\s",]+))|[a-z_]+|[^a-z_]+/gis

/** @returns undefined for a scheme that registries do not use */
export const parseChallenge = (header: string): Challenge | undefined => {
  const text = header.slice(0, maxLength)
  const scheme = /^\s*(bearer|basic)\b/i.exec(text)?.[1]?.toLowerCase()
  if (scheme !== 'bearer' && scheme !== 'basic') return undefined
  const parameters = new Map<string, string>()
  for (const [, name, quoted, end, plain] of text.matchAll(parts)) {
    const value = end === '"' ? quoted?.replaceAll(/\\(.)/gs, '$1') : plain
    if (name !== undefined && value !== undefined) parameters.set(name.toLowerCase(), value)
  }
  const realm = parameters.get('realm')
  const service = parameters.get('service')
  return { scheme, ...(realm === undefined ? {} : { realm }), ...(service === undefined ? {} : { service }) }
}
