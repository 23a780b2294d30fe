/**
 * Finds sources that are refused, and entries without an effect: Docker Hub, which limits pulls by address, and ignored sources that no
 * entry has.
 */
import {
  formatSource,
  imageOf,
  isSameSource,
  type MirrorConfig,
  type Source,
} from '../config/mirror-config.ts'
import type { Problem } from '../config/problem.ts'
import { dockerHub, type ImageReference } from '../names/image-reference.ts'

/** Docker Hub in every spelling: `docker.io/x`, `index.docker.io/library/x`, `x`. */
export const isFromDockerHub = ({ registry }: ImageReference): boolean => registry === dockerHub

export const checkSources = (config: MirrorConfig): readonly Problem[] => [
  ...fromDockerHub(config),
  ...ignoredInVain(config),
]

const fromDockerHub = ({ supplemental }: MirrorConfig): readonly Problem[] =>
  supplemental
    .filter(({ source }) => isFromDockerHub(imageOf(source)))
    .map(({ source, position, subject }) => ({
      severity: 'error',
      position,
      subject,
      message: `source image ${formatSource(source)} is from docker.io, which limits pulls`,
      cure: 'push it to quay.io, or name another registry that has it',
    }))

const ignoredInVain = (config: MirrorConfig): readonly Problem[] =>
  config.ignored
    .filter(({ source }) => !isUsed(config, source))
    .map(({ source, position, subject }) => ({
      severity: 'warning',
      position,
      subject,
      message: `${formatSource(source)} is ignored, and no entry has this source`,
      cure: 'remove the entry',
    }))

const isUsed = ({ supplemental, appCi, art }: MirrorConfig, source: Source): boolean =>
  supplemental.some((entry) => isSameSource(entry.source, source)) ||
  appCi.some((entry) => isSameSource({ kind: 'image', image: entry.source }, source)) ||
  art.some(({ namespace, name, tag }) => {
    const image = imageOf(source)
    const [first, stream = ''] = image.repository.split('/')
    return first === namespace && name.matches(stream) && (tag?.matches(`${image.tag}`) ?? true)
  })
