import t from 'tap'
import type { WatchedObject } from '../../src/kubernetes/watched-object.ts'
import { claimsOf } from '../../src/kubernetes/tag-claims.ts'
import { hex } from './watching.ts'

const monorepos = ['quay-proxy.ci.openshift.org/openshift/ci', 'quay.io/openshift/ci']

/** Each claim as the letter of its digest, and its tag unless that is `latest`. */
const claimed = (object: WatchedObject): string =>
  claimsOf(object, monorepos)
    .map(({ digest, tag }) => digest[7] + (tag === 'latest' ? '' : `:${tag} `))
    .join('')

const at = (host: string, letter: string) => `${host}@${hex(letter)}`
const status = (dockerImageReference: unknown, image: unknown = '') => ({
  tags: [{ tag: 'latest', items: [{ image, dockerImageReference }] }],
})
const spec = (kind: string, name: unknown) => ({ tags: [{ name: 'latest', from: { kind, name } }] })

const rows: readonly (readonly [string, Pick<WatchedObject, 'spec' | 'status'>, string])[] = [
  ['first-host', { status: status(at(monorepos[0]!, 'a')) }, 'a'],
  ['second-host', { status: status(at(monorepos[1]!, 'b')) }, 'b'],
  ['image-first', { status: status(at(monorepos[0]!, 'a'), hex('c')) }, 'c'],
  ['foreign', { status: status(at('quay.io/openshift/other', 'a')) }, ''],
  ['foreign-host', { status: status(at('evil.example/quay.io/openshift/ci', 'a')) }, ''],
  ['by-tag', { status: status(`${monorepos[0]}:ocp_4.15_base`) }, ''],
  ['no-digest', { status: status(`${monorepos[0]}@sha256:short`) }, ''],
  ['nothing-before', { status: status(`@${hex('a')}`) }, ''],
  ['odd', { status: status(7) }, ''],
  ['odd-tag', { status: { tags: [{ tag: 7, items: [{ image: hex('a') }] }] } }, ''],
  ['absent', { status: status(undefined) }, ''],
  ['spec', { spec: spec('DockerImage', at(monorepos[1]!, 'd')) }, 'd'],
  ['spec-of-another-kind', { spec: spec('ImageStreamTag', at(monorepos[1]!, 'd')) }, ''],
  ['spec-odd', { spec: spec('DockerImage', null) }, ''],
  ['spec-null', { spec: { tags: [{ name: 'latest', from: null }, { from: {} }, {}] } }, ''],
  [
    'spec-without-a-name',
    { spec: { tags: [{ from: { kind: 'DockerImage', name: at(monorepos[0]!, 'a') } }] } },
    'a: ',
  ],
  ['null-lists', { spec: { tags: null }, status: { tags: null } }, ''],
  ['null', { spec: null, status: null }, ''],
  ['null-items', { status: { tags: [{ tag: 'latest', items: null }] } }, ''],
  [
    'status-first',
    { spec: spec('DockerImage', at(monorepos[0]!, 'e')), status: status(at(monorepos[0]!, 'f')) },
    'fe',
  ],
]

await t.test(
  'a reference tag claims the digest behind each host of the monorepo, and no other',
  async (test) => {
    for (const [name, object, expected] of rows) test.equal(claimed(object), expected, name)
  },
)
