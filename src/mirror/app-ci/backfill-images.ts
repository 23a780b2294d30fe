/**
 * `qciToAppCIImages`: images of QCI that are copied to the registry of app.ci. The registry makes an ImageStream tag of each image. The
 * history of this tag keeps the image that is replaced.
 * @see https://github.com/openshift/image-registry/blob/master/pkg/dockerregistry/server/manifestservice.go
 */
import { appCiRegistry, isSameSource, type MirrorConfig } from '../config/mirror-config.ts'
import { formatReference } from '../names/image-reference.ts'
import { formatTarget } from '../names/qci-names.ts'
import type { Desired, DesiredImage, LeftOutImage } from '../plan/desired.ts'
import { refusedEntries } from '../validation/refused-entries.ts'

export const backfillImages = (config: MirrorConfig): Desired => {
  const images: DesiredImage[] = []
  const leftOut: LeftOutImage[] = []
  const refused = refusedEntries(config)
  for (const { target, source, subject } of config.appCi) {
    const repository = `${target.namespace}/${target.name}`
    const image = {
      // An ImageStream tag with this name may also be copied into QCI.
      target: `${appCiRegistry}/${formatTarget(target)}`,
      float: target.tag,
      destination: { registry: appCiRegistry, repository },
      source,
    }
    const ignored = config.ignored.find((entry) =>
      isSameSource(entry.source, { kind: 'image', image: source }),
    )
    const reason =
      refused.get(subject) ?? (ignored && `${formatReference(source)} is ignored: ${ignored.reason}`)
    if (reason === undefined) images.push(image)
    else leftOut.push({ ...image, reason })
  }
  return { images, leftOut }
}
