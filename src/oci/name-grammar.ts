/**
 * The grammar of names and tags that every registry has.
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
 */

/** Characters. */
export const maxTagLength = 128

const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const componentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/

/** Clients accept repository paths of at most 255 characters (distribution's NameTotalLengthMax). */
export const maxRepositoryLength = 255

export const isTag = (text: string): boolean => tagPattern.test(text)

/** Whether the text is one component of a repository's path. */
export const isNameComponent = (text: string): boolean => componentPattern.test(text)
