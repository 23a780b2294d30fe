import t from 'tap'
import { readImage, readingOf } from '../../src/explain/read-image.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'

const isRestricted = (namespace: string) => namespace.endsWith('-priv')
const options = {
  monorepo: 'openshift/ci',
  exposedHost: 'proxy.example:5000',
  ownerOf: createTagOwner(isRestricted),
}
const hex = 'a'.repeat(64)
const digest = `sha256:${hex}`
const read = (text: string) => readImage(text, options)

await t.test('every spelling gives the pull spec to use', async (test) => {
  for (const text of [
    'ocp/4.5:base',
    ' ocp/4.5:base\n',
    'docker://proxy.example:5000/ocp/4.5:base',
    'https://quay-proxy.ci.openshift.org/ocp/4.5:base',
    'registry.ci.openshift.org/ocp/4.5:base',
    'registry.ci.openshift.org:443/ocp/4.5:base',
    'podman pull "registry.ci.openshift.org/ocp/4.5:base"',
  ])
    test.equal(read(text).pullSpec, 'proxy.example:5000/ocp/4.5:base', text)
  test.equal(
    read('quay.io/openshift/ci:ocp_4.5_base').pullSpec,
    'proxy.example:5000/openshift/ci:ocp_4.5_base',
  )
  test.equal(read(digest).pullSpec, `proxy.example:5000/openshift/ci@${digest}`)
})

await t.test('other registries, other repositories, and API paths are refused', async (test) => {
  const refused: readonly (readonly [text: string, message: RegExp])[] = [
    ['docker.io/library/ubuntu:22.04', /^docker.io is another registry/],
    ['quay.io/openshift/ci-private:abc', /^quay.io\/openshift\/ci-private is another repository/],
    ['quay.io/my_org/img_x:y', /^quay.io\/my_org\/img_x is another repository/],
    ['/v2/ocp/4.5/manifests/base', /is a path of the registry API, not an image; write proxy.example/],
    ['proxy.example:5000/v2/ocp/4.5/manifests/base', /is a path of the registry API/],
    ['v2', /is a path of the registry API/],
    ['', /^no image is given/],
    ['a'.repeat(701), /longer than any pull spec/],
    ['a/b/c/d:e', /is not a reference of QCI, whose repositories have two components/],
  ]
  for (const [text, message] of refused)
    test.throws(() => read(text), { code: 'NAME_INVALID', status: 400, message }, text.slice(0, 80))
  for (const [text, what] of [
    ['ocp/4.5:b\u0430se', 'has the character U+0430 in it'],
    ['ocp/4.5:ba\u202ese', 'has the character U+202E in it'],
    ['ocp/4.5:\u{1f600}', 'has the character U+1F600 in it'],
    ['ocp/4.5 base', 'has white space in it'],
    ['${REGISTRY}/ocp/4.5:base', 'has a $ in it, as a variable that no shell has replaced'],
  ] as const)
    test.throws(() => read(text), { message: `${what}, which no image has; write proxy.example` }, text)
  test.throws(() => read('ocp/4.5:-'), { code: 'TAG_INVALID', message: /is not a tag/ })
  test.throws(() => read('ocp/4.5@sha256:abc'), { code: 'DIGEST_INVALID', message: /is not a digest/ })
})

await t.test('a likely spelling is named', async (test) => {
  const spellings = [
    ['ocp_4.5_base', 'proxy.example:5000/openshift/ci:ocp_4.5_base'],
    ['ocp/4.5/base', 'proxy.example:5000/ocp/4.5:base'],
    ['proxy.example:5000/ocp_4.5/base', 'proxy.example:5000/openshift/ci:ocp_4.5_base'],
    ['ocp_4.5:base', 'proxy.example:5000/openshift/ci:ocp_4.5_base'],
    ['OCP/4.5:base', 'proxy.example:5000/ocp/4.5:base'],
    ['OCP/4.5/base', 'proxy.example:5000/ocp/4.5:base'],
    ['/ocp/4.5:base', 'proxy.example:5000/ocp/4.5:base'],
  ] as const
  for (const [text, likely] of spellings)
    test.throws(() => read(text), { message: `"${text}" is no image of QCI; did you mean ${likely}?` }, text)
})

await t.test('how a reference is read', async (test) => {
  const reading = (text: string) => readingOf(read(text).reference, isRestricted)
  test.strictSame(reading('ocp/4.5:base'), {
    qciTag: 'ocp_4.5_base',
    namespace: 'ocp',
    imageStream: 'ocp/4.5',
    restricted: false,
  })
  test.strictSame(reading('openshift/ci:a-priv_b_c_d'), {
    qciTag: 'a-priv_b_c_d',
    namespace: 'a-priv',
    restricted: true,
  })
  test.strictSame(reading('openshift/ci:latest'), { qciTag: 'latest', restricted: false })
  test.strictSame(reading(`ocp/4.5@${digest}`), { digest, namespace: 'ocp' })
  test.strictSame(reading(digest), { digest })
  test.strictSame(reading(`openshift/ci:sha256-${hex}.sig`), { qciTag: `sha256-${hex}.sig`, digest })
})
