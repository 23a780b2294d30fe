import t from 'tap'
import {
  apiPathOf,
  isMirrorTarget,
  mirrorMethodsOf,
  pagePathOf,
  parseMirrorPath,
  parseMirrorTarget,
} from '../../../src/page/mirror-queue/mirror-paths.ts'
import { thrown } from '../../support/thrown.ts'

await t.test('paths, and the images that they are about', async (test) => {
  const rows = [
    ['ocp/ubi:9', 'ocp/ubi:9', false],
    ['ocp/4.5:base/sync', 'ocp/4.5:base', true],
    ['registry.ci.openshift.org/ocp/4.5:base', 'registry.ci.openshift.org/ocp/4.5:base', false],
    ['CI_x/Name:T_1.2-3', 'CI_x/Name:T_1.2-3', false],
  ] as const
  for (const [path, target, isSync] of rows) test.strictSame(parseMirrorPath(path), { target, isSync }, path)
  test.equal(apiPathOf('ocp/ubi:9', false), '/api/v1/mirrors/ocp/ubi%3A9')
  test.equal(apiPathOf('ocp/ubi:9', true), '/api/v1/mirrors/ocp/ubi%3A9/sync')
  test.equal(pagePathOf('ocp/ubi:9'), '/mirrors/ocp/ubi:9')
})

await t.test('attack: paths that lead elsewhere are of no image', async (test) => {
  const rows = [
    '..',
    '../x:y',
    'a/..:b',
    'a/b:..',
    '%2e%2e/x:y',
    'a%2fb:c',
    'a/b%2f..:c',
    '/a/b:c',
    'a//b:c',
    'a/b:c/',
    'a/b:c/sync/',
    'a/b:c%2fsync',
    'a/b:c%00',
    'a/b:c\0',
    'a/b/..:c',
    'a/b%3ac',
    'a/b:c?x=1',
    'a/b:c#x',
    'a/b:c;x',
    'a/b',
    'a:b',
    'a/b:c:d',
    'a/b%3Ac%3Ad',
    'w/x/y/z:t',
    '',
    `${'a'.repeat(254)}/b:c`,
  ]
  for (const rest of rows)
    test.match(
      thrown(() => parseMirrorPath(rest)),
      { code: 'NAME_INVALID' },
      rest,
    )
  test.match(
    thrown(() => parseMirrorTarget('<b>')),
    {
      message: 'write the image as the mirror names it: /mirrors/ocp/ubi:9',
      forLog: { rejected: '"<b>"' },
    },
  )
  test.equal(isMirrorTarget('a/b:c'), true)
})

await t.test('the methods of each path', async (test) => {
  test.equal(mirrorMethodsOf('/mirrors'), 'GET, POST')
  test.equal(mirrorMethodsOf('/mirrors/a/b:c'), 'GET')
  test.equal(mirrorMethodsOf('/mirrors/a/b:c/sync'), 'POST')
  test.equal(mirrorMethodsOf('/mirrors2'), undefined)
  test.equal(mirrorMethodsOf('/v2/'), undefined)
})
