import t from 'tap'
import { parseMirrorArguments, type ArgumentsError } from '../../src/mirror/arguments.ts'
import { thrown } from '../support/thrown.ts'

const flag = (name: string, value: string) => `--quayIOCIImagesDistributorOptions.${name}=${value}`
const enabled = '--enable-controller=quay_io_ci_images_distributor'

await t.test('the watch of all ImageStreams, with the flags of the former program', async (t) => {
  const { distributor, notices } = parseMirrorArguments([
    enabled,
    flag('additional-image-stream-tag', 'ocp/4.5:cli'),
    flag('additional-image-stream-tag', 'ocp/4.5:base'),
    flag('additional-image-stream', 'ocp/4.6'),
    flag('additional-image-stream-namespace', 'rhcos'),
    flag('ignore-image-stream-tag', 'ocp/4.5:old'),
    '--only-valid-manifest-v2-images=false',
    '--release-repo-git-sync-path=/release',
  ])
  t.strictSame(notices, [])
  t.strictSame(distributor, {
    additionalTags: new Set(['ocp/4.5:cli', 'ocp/4.5:base']),
    additionalStreams: new Set(['ocp/4.6']),
    additionalNamespaces: new Set(['rhcos']),
    ignoredTags: new Set(['ocp/4.5:old']),
    onlyValidManifests: false,
    releaseRepository: '/release',
  })
})

await t.test('without a checkout, a notice names the tags that are not mirrored', async (t) => {
  const { distributor, notices } = parseMirrorArguments([enabled])
  t.match(distributor, { onlyValidManifests: true, releaseRepository: undefined })
  t.match(notices, [/^without --release-repo-git-sync-path, no tag is mirrored because a test/])
})

await t.test('controllers and names that do not exist', async (t) => {
  const { problems } = thrown(() =>
    parseMirrorArguments([
      '--enable-controller=promotionreconciler',
      '--enable-controller=x',
      flag('additional-image-stream-tag', 'ocp/4.5'),
      flag('additional-image-stream', 'ocp/4.5:cli'),
      flag('additional-image-stream-namespace', 'ocp/4.5'),
      flag('ignore-image-stream-tag', 'cli'),
    ]),
  ) as ArgumentsError
  t.match(problems, [
    'the following controllers are unknown: [promotionreconciler x]; there is quay_io_ci_images_distributor',
    /additional-image-stream-tag=ocp\/4\.5 is not valid: expected a tag such as/,
    /additional-image-stream=ocp\/4\.5:cli is not valid: expected an ImageStream/,
    /additional-image-stream-namespace=ocp\/4\.5 is not valid: expected a namespace/,
    /ignore-image-stream-tag=cli is not valid/,
  ])
})

await t.test('flags of a watch that is not enabled', async (t) => {
  const { distributor, notices } = parseMirrorArguments([flag('additional-image-stream', 'ocp/4.6')])
  t.equal(distributor, undefined)
  t.strictSame(notices, [
    '--quayIOCIImagesDistributorOptions.additional-image-stream has no effect without --enable-controller=quay_io_ci_images_distributor',
  ])
})
