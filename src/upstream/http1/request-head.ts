/**
 * The head of a GET as it is sent.
 */

const targetForm = /^\/[\x21-\x7e]*$/
const fieldName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const fieldValue = /^[\t\x20-\x7e]*$/
/** They frame the request or the connection, so only this file writes them. */
const framing = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'expect',
  'te',
])

/**
 * Attack: a line end in a value would begin a second request of the attacker's own, with the robot's rights (request smuggling).
 * @throws {TypeError} its message never holds the value
 */
export const requestHead = (url: URL, headers: Readonly<Record<string, string>>): string => {
  const target = url.pathname + url.search
  if (!targetForm.test(target)) throw new TypeError('not a request target')
  let head = `GET ${target} HTTP/1.1\r\nhost: ${url.host}\r\n`
  for (const [name, value] of Object.entries(headers)) {
    if (!fieldName.test(name) || framing.has(name.toLowerCase())) throw new TypeError('not a request field')
    if (!fieldValue.test(value)) throw new TypeError(`a value of ${name} that cannot be sent`)
    head += `${name}: ${value}\r\n`
  }
  return `${head}\r\n`
}
