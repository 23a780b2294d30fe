/**
 * The name of what put an image into the list, as the former program writes it. For images of ART it wrote the name of the other list, and
 * so does this program.
 */
import type { DesiredImage } from './desired.ts'

/** This is also the value of `--enable-controller`. */
export const distributorName = 'quay_io_ci_images_distributor' as const

export type Owner = typeof distributorName | 'qciToAppCIImages' | 'supplementalCIImagesService'

export const ownerOf = ({
  distributed,
  destination,
}: Pick<DesiredImage, 'distributed' | 'destination'>): Owner => {
  if (distributed !== undefined) return distributorName
  return destination === undefined ? 'supplementalCIImagesService' : 'qciToAppCIImages'
}
