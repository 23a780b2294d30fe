/**
 * A WWW-Authenticate challenge. RFC 9110 section 11.6.1; one challenge per line, as every registry sends it.
 */
export interface Challenge {
  readonly scheme: 'bearer' | 'basic'
  readonly realm?: string
  readonly service?: string
}

const parameterPattern = /([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/gi

/** Undefined for a scheme that a registry does not use. */
export const parseChallenge = (header: string): Challenge | undefined => {
  const scheme = /^\s*(bearer|basic)\b/i.exec(header)?.[1]?.toLowerCase()
  if (scheme !== 'bearer' && scheme !== 'basic') return undefined
  const parameters = new Map<string, string>()
  for (const [, name = '', quoted, plain = ''] of header.matchAll(parameterPattern))
    parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? plain)
  const realm = parameters.get('realm')
  const service = parameters.get('service')
  return { scheme, ...(realm === undefined ? {} : { realm }), ...(service === undefined ? {} : { service }) }
}
