import type { Test } from 'tap'
import t from 'tap'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { nameUnknown, notServed, parseUnknownName } from '../../src/registry/unknown-names.ts'
import { routes } from '../../src/registry/routes.ts'
import { bareApp, bearer, digest, routesOptions } from './fakes.ts'

const options = {
  monorepo: 'openshift/ci',
  exposedHost: 'proxy.example',
  ownerOf: createTagOwner(() => false),
}

await t.test('the path of a request: the name and the reference', async (test) => {
  for (const [path, components, reference] of [
    ['ci/manifests/latest', ['ci'], 'latest'],
    ['a/b/c/manifests/latest', ['a', 'b', 'c'], 'latest'],
    ['a/manifests/b/manifests/c', ['a', 'manifests', 'b'], 'c'],
    [`a/b/c/blobs/${digest}`, ['a', 'b', 'c'], digest],
    [`a/referrers/${digest}`, ['a'], digest],
    ['a/tags/list', ['a'], undefined],
  ] as const)
    test.strictSame(parseUnknownName(path), { components, reference }, path)
  for (const path of [
    '_catalog',
    '',
    'manifests/latest',
    '/manifests/latest',
    '/tags/list',
    'tags/list',
    'a/b/uploads/x',
  ])
    test.equal(parseUnknownName(path), undefined, path)
})

await t.test('the message: the name, and what to do', async (test) => {
  for (const [name, reference, message] of [
    [
      'registry.ci.openshift.org/ocp/4.5',
      'base',
      '"registry.ci.openshift.org/ocp/4.5" is not a repository here; pull proxy.example/ocp/4.5:base',
    ],
    ['ocp/4.5/base', undefined, '"ocp/4.5/base" is not a repository here; list proxy.example/ocp/4.5'],
    [
      'docker.io/library/ubuntu',
      '22.04',
      '"docker.io/library/ubuntu" is not a repository here; docker.io is another registry: what it holds is not in QCI, and not decided about here; ask whoever runs it',
    ],
    [
      'ci',
      'latest',
      '"ci" is not a repository here; pull proxy.example/<namespace>/<name>:<tag> or proxy.example/openshift/ci:<namespace>_<name>_<tag>',
    ],
    [
      'registry.ci.openshift.org/OCP/4.5',
      'base',
      '"registry.ci.openshift.org/OCP/4.5" is not a repository here; pull proxy.example/<namespace>/<name>:<tag> or proxy.example/openshift/ci:<namespace>_<name>_<tag>',
    ],
  ] as const) {
    const error = nameUnknown(name.split('/'), reference, options)
    test.match(error, { code: 'NAME_UNKNOWN', status: 404, message, forLog: { rejected: `"${name}"` } })
  }
})

await t.test(
  'attack: a long name with control characters is cut in the message and in the log',
  async (test) => {
    const error = nameUnknown(['x\u001b[2J'.repeat(1000)], 'latest', options)
    test.ok(error.message.length < 400)
    test.notMatch(error.message + JSON.stringify(error.forLog), /[^\x20-\x7e]/)
  },
)

const setUp = async (test: Test, more = {}) => {
  const app = bareApp(test)
  await app.register(routes, routesOptions(more))
  return async (url: string, headers = {}) => {
    const { statusCode, payload } = await app.inject({ url, headers })
    const { errors } = JSON.parse(payload) as { errors: { code: string; message: string }[] }
    return { status: statusCode, ...errors[0] }
  }
}

await t.test('on the wire: the challenge first, then 404 with the pull spec', async (test) => {
  const get = await setUp(test)
  const path = '/v2/registry.ci.openshift.org/ocp/4.5/manifests/base'
  test.match(await get(path), { status: 401, code: 'UNAUTHORIZED' })
  test.match(await get(path, bearer), {
    status: 404,
    code: 'NAME_UNKNOWN',
    message: /proxy\.example\/ocp\/4\.5:base$/,
  })
  test.match(await get('/v2/ocp_4.5/base/manifests/latest', bearer), {
    status: 404,
    code: 'NAME_UNKNOWN',
    message: /proxy\.example\/openshift\/ci:ocp_4\.5_base$/,
  })
  test.match(await get('/v2/OCP/4.5/manifests/base', bearer), { status: 400, code: 'NAME_INVALID' })
  test.match(await get(`/v2/a/b/manifests/${'c'.repeat(600)}`, bearer), {
    status: 400,
    code: 'NAME_INVALID',
    message: 'a component of the path is too long',
  })
  test.match(await get('/v2/ocp%2F4.5/manifests/base', bearer), {
    status: 400,
    code: 'NAME_INVALID',
    message: 'a slash of the path is escaped: send / instead of %2F',
  })
  test.match(await get('/v2/ocp_4.5/base/tags/list', bearer), { status: 404, code: 'NAME_UNKNOWN' })
})

await t.test('paths of no endpoint cost no review', async (test) => {
  const get = await setUp(test, { authenticate: async () => test.fail('no review') })
  test.match(await get('/v2/_catalog'), { status: 401 })
  test.match(await get('/v2/_catalog', bearer), {
    status: 404,
    code: 'UNSUPPORTED',
    message: /skopeo list-tags docker:\/\/proxy\.example\//,
  })
  test.match(await get('/v2/nothing', bearer), { status: 404, message: /^there is nothing here/ })
  test.match(notServed(), { status: 404, code: 'UNSUPPORTED' })
})
