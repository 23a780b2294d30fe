/**
 * Checks the names of targets: their tags in QCI, and whether the image can be pulled by its name.
 */
import { isImageStreamName, isNamespace, isQciTag, createTagOwner } from '../../oci/qci-tag.ts'
import type { AppCiImage, MirrorConfig, SupplementalImage } from '../config/mirror-config.ts'
import type { Problem } from '../config/problem.ts'
import {
  floatTagOf,
  formatTarget,
  maxFloatLength,
  pruneTagOf,
  type ImageStreamTag,
} from '../names/qci-names.ts'

export const checkTargets = ({ supplemental, appCi }: MirrorConfig): readonly Problem[] => [
  ...supplemental.flatMap(problemsInQci),
  ...appCi.flatMap(problemsOnAppCi),
]

/** Why no image may have the tag of an ImageStream tag in QCI: a sentence without its full stop. Undefined if it may. */
export const reasonAgainstFloat = (target: ImageStreamTag): string | undefined => {
  const float = floatTagOf(target)
  if (float.length > maxFloatLength) return `${float} is too long for a tag with a prune name`
  if (!isQciTag(float)) return `${float} is not a tag`
  const { namespace } = target
  // Attack: a namespace of 14 digits would write, or overwrite, what the pruner deletes.
  return isNamespace(namespace) && !isOwned(float, namespace) ? `${float} ${readsAsOther}` : undefined
}

const readsAsOther = 'reads as a copy, a digest or a tag of the release controller'

const ownerOf = createTagOwner(() => false)

const problemsInQci = ({ target, position, subject }: SupplementalImage): readonly Problem[] => {
  const float = floatTagOf(target)
  const error = (message: string, cure: string): readonly Problem[] => [
    { severity: 'error', position, subject, message, cure },
  ]
  if (float.length > maxFloatLength)
    return error(
      `${formatTarget(target)} is too long: ${pruneTagOf(float, 0)} has ${pruneTagOf(float, 0).length} characters, and a tag has 128 at most`,
      `make namespace, name and tag together ${float.length - maxFloatLength} shorter`,
    )
  if (!isQciTag(float))
    return error(
      `${formatTarget(target)} cannot be in QCI: ${float} is not a tag`,
      'use letters, digits, "_", "." and "-" alone, and none of the last two at the beginning',
    )
  const { namespace, name } = target
  if (isNamespace(namespace) && !isOwned(float, namespace))
    return error(
      `${formatTarget(target)} would be taken for something else in QCI: ${float} ${readsAsOther}`,
      'use another namespace or name',
    )
  if (isNamespace(namespace) && isImageStreamName(name)) return []
  return [
    {
      severity: 'warning',
      position,
      subject,
      message: `${formatTarget(target)} cannot be an ImageStream tag: it can be pulled as openshift/ci:${float} alone`,
      cure: 'use lower-case letters, digits and "-" in the namespace',
    },
  ]
}

const isOwned = (float: string, namespace: string): boolean => {
  const owner = ownerOf(float)
  return owner.by === 'image-stream' && owner.imageStream.namespace === namespace
}

/** The registry of app.ci makes an ImageStream of what is pushed. */
const problemsOnAppCi = ({ target, position, subject }: AppCiImage): readonly Problem[] => {
  const { namespace, name, tag } = target
  if (isNamespace(namespace) && isImageStreamName(name) && isQciTag(tag)) return []
  return [
    {
      severity: 'error',
      position,
      subject,
      message: `${formatTarget(target)} cannot be an ImageStream tag of app.ci`,
      cure: 'use lower-case letters, digits and "-" in the namespace, and also "." and "_" in the name',
    },
  ]
}
