import t from 'tap'
import type { Test } from 'tap'
import { referrersHandler } from '../../src/registry/referrers.ts'
import { routes } from '../../src/registry/routes.ts'
import { bareApp, bearer, digest, routesOptions } from './fakes.ts'

const other = `sha256:${'b'.repeat(64)}`

const serve = async (test: Test, content: string, filtersApplied?: string) => {
  const asked: unknown[] = []
  const app = bareApp(test)
  await app.register(
    routes,
    routesOptions({
      fetchReferrers: async ({ digest: of, artifactType, asker, signal }) => {
        asked.push([of, artifactType, asker, signal.aborted])
        return { content: Buffer.from(content), filtersApplied }
      },
    }),
  )
  const ask = async (query = '') =>
    await app.inject({ url: `/v2/ocp/4.5/referrers/${digest}${query}`, headers: bearer })
  return { ask, asked }
}

await t.test('trap 31: an index of the exact type, as upstream gave it', async (test) => {
  const content = JSON.stringify({ manifests: [{ digest: other }, { digest: 'x' }, {}] })
  const { ask, asked } = await serve(test, content, 'artifactType')
  const { statusCode, headers, payload } = await ask('?artifactType=application/spdx%2Bjson&ns=a')
  test.strictSame([statusCode, payload], [200, content])
  test.equal(headers['content-type'], 'application/vnd.oci.image.index.v1+json')
  test.equal(headers['oci-filters-applied'], 'artifactType')
  test.strictSame(asked, [[digest, 'application/spdx+json', 'alice', false]])
})

await t.test('none, and no filter', async (test) => {
  for (const content of ['{}', '{"manifests":null}', '{"manifests":[]}']) {
    const { ask, asked } = await serve(test, content)
    const { statusCode, headers } = await ask()
    test.strictSame([statusCode, headers['oci-filters-applied']], [200, undefined])
    test.strictSame(asked, [[digest, undefined, 'alice', false]])
  }
})

await t.test('a filter that is no media type is not asked about', async (test) => {
  const { ask, asked } = await serve(test, '{}')
  for (const query of ['?artifactType=a', '?artifactType=', '?artifactType=a/b&artifactType=c/d'])
    test.equal((await ask(query)).statusCode, 400, query)
  test.strictSame(asked, [])
})

await t.test('it is never asked by tag', async (test) => {
  const app = bareApp(test)
  const hook = async (request: { reference: unknown }) => void (request.reference = { kind: 'tag' })
  app.get('/', { onRequest: hook }, referrersHandler(routesOptions()))
  test.equal((await app.inject('/')).statusCode, 500)
})
