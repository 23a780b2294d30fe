/**
 * Finds the image in a text that people paste: a command, a manifest or a message, with other words around the image. It does not check
 * whether the result is an image.
 */
import { trimBlanks } from '../secrets/pasted-text.ts'

/** @param text of bounded length */
export const pastedImage = (text: string): string => {
  const word = bare(onlyImageOf(bare(text)))
  const path = withoutScheme(decoded(word)).replaceAll(/\/{2,}/g, '/')
  return withDigest(webPageOf(path) ?? path.replace(openshiftResource, ''))
}

/** The image behind `podman pull`, `FROM` or `image:`; the whole text if it is not clear which word is the image. */
const onlyImageOf = (text: string): string => {
  const words = text.split(/\s/)
  const last = words.pop() as string
  return words.some(isImageLike) || !isImageLike(last) ? text : last
}

const isImageLike = (word: string): boolean => /[^/]\/[^/]/.test(word)

const bare = (text: string): string => trimBlanks(undecorated(trimBlanks(text)))

const decorations = new Set('"\'`<>()[]{},;\\\u2018\u2019\u201c\u201d\u00ab\u00bb')

const undecorated = (text: string): string => {
  // The address of an IPv6 host begins with a bracket.
  const isPart = (character: string): boolean =>
    character === '[' && text.startsWith('[') && text.includes(']:')
  let [start, end] = [0, text.length]
  while (start < end && decorations.has(text.charAt(start)) && !isPart(text.charAt(start))) start += 1
  while (end > start && decorations.has(text.charAt(end - 1))) end -= 1
  return text.slice(start, end)
}

const withoutScheme = (text: string): string => text.replace(/^(?:docker|https?|oci):\/\//i, '')

/** `ocp%2F4.5%3Abase` */
const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    // A percent sign that is no escape.
    return text
  }
}

/** `oc get -o name` prints it before a name. */
const openshiftResource =
  /^\/?(?:is|istag|imagestreams?|imagestreamtags?)(?:\.image\.openshift\.io)?\/(?=[^/]+\/)/

/** A page of quay.io about a repository: undefined for any other text. */
const webPageOf = (text: string): string | undefined => {
  const [, path, digest, tag] = quayPage.exec(text) ?? []
  if (path === undefined) return undefined
  if (digest !== undefined) return `quay.io/${path}@${digest}`
  return tag === undefined ? `quay.io/${path}` : `quay.io/${path}:${tag}`
}
const quayPage =
  /^quay\.io\/repository\/([\w.-]+\/[\w.-]+)(?:\/manifest\/(sha256:[0-9a-f]{64})|\?(?:tab=tags&)?tag=([\w.-]+))?/

/** A digest alone, or in capital letters. */
const withDigest = (text: string): string => {
  const [, alone] = /^@?(?:sha256:)?([0-9a-f]{64})$/i.exec(text) ?? []
  if (alone !== undefined) return `sha256:${alone.toLowerCase()}`
  const at = text.indexOf('@')
  return at === -1 ? text : text.slice(0, at) + text.slice(at).toLowerCase()
}
