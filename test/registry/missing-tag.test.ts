import t from 'tap'
import { alice } from './fakes.ts'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository } from '../../src/oci/reference.ts'
import {
  adviceOnMissingTag,
  adviceOnNearTag,
  adviceOnTag,
  type TagReference,
} from '../../src/registry/missing-tag.ts'

const options = {
  monorepo: 'openshift/ci',
  exposedHost: 'proxy.example',
  ownerOf: createTagOwner(() => false),
}
const parse = (path: string, text: string): TagReference => {
  const [namespace = '', name = ''] = path.split('/')
  return parseReference(
    parseRepository(namespace, name, 'openshift/ci'),
    text,
    options.ownerOf,
  ) as TagReference
}

await t.test('the usual mistakes in writing a tag', async (test) => {
  for (const [path, text, advice] of [
    ['ocp/4.5', 'latest', 'clients ask for latest if no tag is given: name a tag'],
    ['ocp/4.5', 'ocp_4.5_base', 'pull proxy.example/ocp/4.5:base'],
    [
      'openshift/ci',
      'latest',
      'clients ask for latest if no tag is given: a tag of openshift/ci has the form <namespace>_<name>_<tag>',
    ],
    [
      'openshift/ci',
      'ocp-4.5-base',
      'a tag of openshift/ci has the form <namespace>_<name>_<tag>, with underscores between the parts',
    ],
  ] as const)
    test.equal(adviceOnTag(parse(path, text), options), advice, `${path}:${text}`)
})

await t.test('a tag that looks right', async (test) => {
  for (const [path, text] of [
    ['ocp/4.5', 'base'],
    ['openshift/ci', 'ocp_4.5_base'],
    ['openshift/ci', 'something'],
    ['openshift/ci', 'art__ab-cd'],
  ] as const)
    test.equal(adviceOnTag(parse(path, text), options), undefined, `${path}:${text}`)
})

await t.test('a near tag', async (test) => {
  test.equal(
    adviceOnNearTag(parse('ocp/4.5', 'bsae'), 'base', options),
    'did you mean base? pull proxy.example/ocp/4.5:base',
  )
})

await t.test('a search only for a tag that looks right', async (test) => {
  const searched: string[] = []
  const advice = async (tag: string, near?: string) =>
    await adviceOnMissingTag(
      {
        identity: alice,
        reference: parse('ocp/4.5', tag),
        requester: 'alice',
        signal: new AbortController().signal,
      },
      {
        ...options,
        findNearTag: async ({ reference }) => {
          searched.push(reference.tag)
          return near
        },
      },
    )
  test.match(await advice('latest', 'base'), 'name a tag')
  test.match(await advice('bsae', 'base'), 'did you mean base? pull proxy.example/ocp/4.5:base')
  test.equal(await advice('bsae'), undefined)
  test.strictSame(searched, ['bsae', 'bsae'])
})
