import t from 'tap'
import { Entry } from '../../../src/mirror/queue/entry.ts'
import { ImageBook } from '../../../src/mirror/status/image-book.ts'
import { desiredImages } from '../../../src/mirror/plan/desired.ts'
import type { DesiredImage } from '../../../src/mirror/plan/desired.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { copyOf } from '../queue/copies.ts'
import { configOf, supplemental } from '../validation/entries.ts'

const desiredOf = (sources: Readonly<Record<string, string>>) =>
  desiredImages(configOf(supplemental(sources)))
const digest = `sha256:${'0'.repeat(64)}` as Digest

await t.test('since when an image differs', async (t) => {
  let now = 1000
  const book = new ImageBook(
    () => 'qci',
    () => now,
  )
  const desired = desiredOf({ 'a/b:c': 'quay.io/a/b:c', 'a/b:hub': 'fedora' })
  book.desire(desired)
  t.match(book.list([]), [
    { target: 'a/b:c', state: 'not compared yet', comparedAt: undefined },
    { target: 'a/b:hub', state: 'left out', reason: /docker\.io/ },
  ])
  const image = desired.images[0] as DesiredImage
  book.found({ image, state: 'different', digest, replaced: undefined })
  now = 2000
  book.desire(desired)
  book.found({ image, state: 'unreadable', reason: 'it answers 503' })
  t.match(book.get('a/b:c'), { state: 'unreadable', reason: 'it answers 503', differsSince: 1000, digest })
  now = 3000
  book.copied('a/b:c')
  t.match(book.get('a/b:c'), { state: 'same', copiedAt: 3000, differsSince: undefined, reason: undefined })
  book.found({ image, state: 'same', digest })
  t.match(book.get('a/b:c'), { state: 'same', comparedAt: 3000, differsSince: undefined })
  t.match(book.list([new Entry(copyOf('a/b:c')).status()]), [
    { state: 'waiting', copy: { target: 'a/b:c' } },
    {},
  ])
})

await t.test('another source digest starts over; images that are not listed are forgotten', async (t) => {
  const book = new ImageBook(() => 'qci')
  const first = desiredOf({ 'a/b:c': 'quay.io/a/b:c' })
  book.desire(first)
  book.copied('a/b:c')
  book.desire(desiredOf({ 'a/b:c': 'quay.io/a/other:c' }))
  t.match(book.get('a/b:c'), { state: 'not compared yet', copiedAt: undefined })
  book.desire({ images: [], leftOut: first.images.map((image) => ({ ...image, reason: 'x' })) })
  book.desire(first)
  t.match(book.get('a/b:c'), { state: 'not compared yet' })
  book.desire({ images: first.images, leftOut: first.images.map((image) => ({ ...image, reason: 'x' })) })
  t.equal(book.get('a/b:c')?.state, 'not compared yet', 'an image that is copied is not left out')
  book.desire({ images: [], leftOut: [] })
  book.copied('a/b:c')
  t.equal(book.get('a/b:c'), undefined)
})

await t.test('an image that a comparison leaves out stays so until the next one', async (t) => {
  const book = new ImageBook(() => 'qci')
  const desired = desiredOf({ 'a/b:c': 'quay.io/a/b:c' })
  const image = desired.images[0] as DesiredImage
  book.desire(desired)
  book.found({ image, state: 'left out', reason: 'the image in QCI is newer' })
  book.desire(desired)
  const record = { state: 'left out', reason: 'the image in QCI is newer', differsSince: undefined }
  t.match(book.get('a/b:c'), { ...record, owner: 'supplementalCIImagesService' })
  book.found({ image, state: 'same', digest })
  t.match(book.get('a/b:c'), { state: 'same', reason: undefined })
})
