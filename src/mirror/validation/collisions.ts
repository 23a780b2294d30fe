/**
 * Finds tags with two writers. Their image would change every hour, and each change would keep one more copy.
 */
import type { ArtImages, MirrorConfig, SupplementalImage } from '../config/mirror-config.ts'
import type { Problem } from '../config/problem.ts'
import { floatTagOf, formatTarget, type ImageStreamTag } from '../names/qci-names.ts'

/** Maps each float that a build of ci-operator promotes to the build. */
export type PromotedTags = ReadonlyMap<string, string>

export const checkCollisions = (config: MirrorConfig, promoted: PromotedTags): readonly Problem[] => [
  ...writtenTwice(config.supplemental),
  ...alsoPromoted(config.supplemental, promoted),
  ...alsoOfArt(config),
  ...promotedAndOfArt(config, promoted),
]

/** `a/b_c:d` and `a/b:c_d` are one tag in QCI. */
const writtenTwice = (supplemental: readonly SupplementalImage[]): readonly Problem[] => {
  const first = new Map<string, SupplementalImage>()
  return supplemental.flatMap((entry): Problem[] => {
    const float = floatTagOf(entry.target)
    const other = first.get(float)
    if (other === undefined) {
      first.set(float, entry)
      return []
    }
    const { position, subject, target } = entry
    return [
      {
        severity: 'error',
        position,
        subject,
        message: `${formatTarget(target)} has the tag of ${formatTarget(other.target)} (line ${other.position.line}) in QCI, ${float}`,
        cure: 'rename or remove one of the two',
      },
    ]
  })
}

const alsoPromoted = (
  supplemental: readonly SupplementalImage[],
  promoted: PromotedTags,
): readonly Problem[] =>
  supplemental.flatMap(({ target, position, subject }): Problem[] => {
    const by = promoted.get(floatTagOf(target))
    if (by === undefined) return []
    return [
      {
        severity: 'error',
        position,
        subject,
        message: `target ${formatTarget(target)} would overwrite a promoted tag: ${by} promotes it`,
        cure: 'choose another target, or remove the promotion',
      },
    ]
  })

/** The program skips such tags of ART, so that there is one writer. The author of the entry may not know that. */
const alsoOfArt = ({ art, supplemental, appCi }: MirrorConfig): readonly Problem[] =>
  art.flatMap((images) => {
    const { position, subject } = images
    return [...appCi, ...supplemental]
      .filter(({ target }) => isOfArt(images, target))
      .map((other) => ({
        severity: 'warning',
        position,
        subject,
        message: `${subject} also matches ${formatTarget(other.target)}, which ${other.subject} names (line ${other.position.line}): the latter wins`,
        cure: 'let the patterns match fewer tags, or remove the other entry',
      }))
  })

/** The parts of a float cannot be told apart: `ocp_a_b_c` may be `ocp/a:b_c` or `ocp/a_b:c`. Only app.ci knows which of them exists. */
const promotedAndOfArt = ({ art }: MirrorConfig, promoted: PromotedTags): readonly Problem[] =>
  art.flatMap((images) => {
    const { position, subject } = images
    return [...promoted]
      .filter(([float]) => readingsOf(float, images.namespace).some((reading) => isOfArt(images, reading)))
      .map(([float, by]) => ({
        severity: 'warning',
        position,
        subject,
        message: `${subject} also matches ${float}, which ${by} promotes: both would write it`,
        cure: 'let the patterns match fewer tags, or remove the promotion',
      }))
  })

const readingsOf = (float: string, namespace: string): readonly ImageStreamTag[] => {
  if (!float.startsWith(`${namespace}_`)) return []
  const parts = float.slice(namespace.length + 1).split('_')
  return parts.slice(1).map((_part, index) => ({
    namespace,
    name: parts.slice(0, index + 1).join('_'),
    tag: parts.slice(index + 1).join('_'),
  }))
}

/** Whether ART's patterns match an ImageStream tag. */
export const isOfArt = ({ namespace, name, tag }: ArtImages, imageStreamTag: ImageStreamTag): boolean =>
  namespace === imageStreamTag.namespace &&
  name.matches(imageStreamTag.name) &&
  (tag?.matches(imageStreamTag.tag) ?? true)
