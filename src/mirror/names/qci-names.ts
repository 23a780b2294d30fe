/**
 * The names of an image: `<namespace>/<name>:<tag>` on app.ci and in the configuration, `<namespace>_<name>_<tag>` in QCI (the float), and
 * the prune tag of a replaced image.
 * @see https://github.com/openshift/ci-tools/blob/main/pkg/api/promotion.go
 */
import { maxTagLength } from '../../oci/name-grammar.ts'

export interface ImageStreamTag {
  readonly namespace: string
  readonly name: string
  readonly tag: string
}

const pruneInfix = '_prune___ci_images_mirror__'
const digitsOfTime = 14
/** The longest float, in characters (87): its prune tag must still be a valid tag. */
export const maxFloatLength = maxTagLength - digitsOfTime - pruneInfix.length

/** Needs exactly one `/` and one `:`, with text before and after each. @returns undefined for any other text */
export const parseTarget = (key: string): ImageStreamTag | undefined => {
  const [namespace = '', rest = '', ...slashes] = key.split('/')
  const [name = '', tag = '', ...colons] = rest.split(':')
  const isWhole = slashes.length === 0 && colons.length === 0
  return isWhole && namespace !== '' && name !== '' && tag !== '' ? { namespace, name, tag } : undefined
}

export const formatTarget = ({ namespace, name, tag }: ImageStreamTag): string =>
  `${namespace}/${name}:${tag}`

/** The tag of the current image. */
export const floatTagOf = ({ namespace, name, tag }: ImageStreamTag): string => `${namespace}_${name}_${tag}`

/**
 * The prune tag of a replaced image. The pruner reads the time from it.
 * @param ms since the epoch; the tag holds whole seconds of UTC
 */
export const pruneTagOf = (float: string, ms: number): string =>
  `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-T:]/g, '')}${pruneInfix}${float}`
