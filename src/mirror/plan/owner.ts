/**
 * What put an image into the list, as the former program names it: that of ART's images calls itself the other one there, too.
 */
import type { DesiredImage } from './desired.ts'

/** The value of `--enable-controller`, too. */
export const distributorName = 'quay_io_ci_images_distributor'

export type Owner = typeof distributorName | 'qciToAppCIImages' | 'supplementalCIImagesService'

export const ownerOf = ({
  distributed,
  destination,
}: Pick<DesiredImage, 'distributed' | 'destination'>): Owner => {
  if (distributed !== undefined) return distributorName
  return destination === undefined ? 'supplementalCIImagesService' : 'qciToAppCIImages'
}
