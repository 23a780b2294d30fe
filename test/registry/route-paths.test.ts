import t from 'tap'
import { explanationPaths, routePaths } from '../../src/registry/route-paths.ts'

await t.test(
  'the pull half of the OCI endpoints, the ping and the realm, and advice on all other paths',
  async (test) => {
    test.strictSame(Object.values(routePaths).toSorted(), [
      '/v2',
      '/v2/',
      '/v2/*',
      '/v2/:namespace/:name/blobs/:digest',
      '/v2/:namespace/:name/manifests/:reference',
      '/v2/:namespace/:name/referrers/:digest',
      '/v2/:namespace/:name/tags/list',
      '/v2/auth',
    ])
  },
)

await t.test('explanations are beside the registry API', async (test) => {
  for (const path of Object.values(explanationPaths)) test.notOk(path.startsWith('/v2'), path)
})
