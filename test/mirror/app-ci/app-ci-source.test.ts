import t from 'tap'
import { appCiImages } from '../../../src/mirror/app-ci/app-ci-source.ts'
import { hex, startApi } from '../../kubernetes/watching.ts'
import { configOf, supplemental } from '../validation/entries.ts'

const never = new AbortController().signal
const config = configOf(
  `${supplemental({ 'a/b:c': 'quay.io/a/b:c' })}artImages: [{namespace: openshift, name: ^release$}]\n`,
)

await t.test(
  'while app.ci gives no list, external images and the images of the last list are kept',
  async (t) => {
    const { api, kubeConfig, imageStreams } = await startApi(t)
    imageStreams.put({ namespace: 'openshift', name: 'release', tags: { golang: [hex('c')] } })
    const source = appCiImages(kubeConfig)
    const targetsOf = async () => {
      const { images, problem } = await source.read(config, never)
      return { targets: images.map(({ target }) => target), problem }
    }
    api.fault({ kind: 'status', status: 500 })
    const problem =
      'app.ci does not list the ImageStreams of openshift: API server answered 500; its ImageStreams are those of the last complete list'
    t.strictSame(await targetsOf(), { targets: ['a/b:c'], problem })
    api.fault({ kind: 'none' })
    const both = ['a/b:c', 'openshift/release:golang']
    t.strictSame(await targetsOf(), { targets: both, problem: undefined })
    api.fault({ kind: 'status', status: 500 })
    t.strictSame(await targetsOf(), { targets: both, problem })
  },
)

await t.test('a service that is stopping reads no list', async (t) => {
  const { kubeConfig } = await startApi(t)
  await t.rejects(appCiImages(kubeConfig).read(config, AbortSignal.abort(new Error('ended'))), {
    message: 'ended',
  })
})
