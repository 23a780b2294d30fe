import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { commandUserAgent, mirrorUserAgent, userAgent, version } from '../../src/config/version.ts'

await t.test('the version stands in one place', async (test) => {
  test.equal(version, manifest.version)
  test.equal(userAgent, `quay-proxy/${manifest.version}`)
  test.equal(mirrorUserAgent, `ci-images-mirror/${manifest.version}`)
  test.equal(commandUserAgent('explain'), `quay-proxy/${manifest.version} (explain)`)
})
