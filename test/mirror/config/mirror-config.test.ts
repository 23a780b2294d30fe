import t from 'tap'
import {
  floatOf,
  formatSource,
  imageOf,
  imageStreamTagOf,
  isSameSource,
  qciImageOf,
  type Source,
} from '../../../src/mirror/config/mirror-config.ts'
import { parseImageReference, type ImageReference } from '../../../src/mirror/names/image-reference.ts'

const image = (text: string) => parseImageReference(text) as ImageReference
const target = { namespace: 'ocp', name: '5.0', tag: 'cli' }
const digest = `sha256:${'a'.repeat(64)}`

await t.test('an ImageStream is in the registry of app.ci', async (t) => {
  const source: Source = { kind: 'image-stream-tag', imageStreamTag: target }
  t.equal(formatSource(source), 'registry.ci.openshift.org/ocp/5.0:cli')
  const same: Source = { kind: 'image', image: image('registry.ci.openshift.org/ocp/5.0:cli') }
  t.ok(isSameSource(source, same))
  t.equal(imageStreamTagOf(imageOf(source)), 'ocp/5.0:cli')
  t.equal(imageStreamTagOf(image('quay.io/ocp/5.0:cli')), undefined)
  t.equal(imageStreamTagOf(image(`registry.ci.openshift.org/ocp/5.0@${digest}`)), undefined)
})

await t.test('a float of QCI has three spellings', async (t) => {
  t.strictSame(qciImageOf(target), image('quay-proxy.ci.openshift.org/openshift/ci:ocp_5.0_cli'))
  for (const text of [
    'quay.io/openshift/ci:ocp_5.0_cli',
    'quay-proxy.ci.openshift.org/openshift/ci:ocp_5.0_cli',
    'quay-proxy.ci.openshift.org/ocp/5.0:cli',
  ])
    t.equal(floatOf(image(text)), 'ocp_5.0_cli', text)
  for (const text of ['quay.io/ocp/5.0:cli', `quay.io/openshift/ci@${digest}`])
    t.equal(floatOf(image(text)), undefined, text)
})
