/** What a release is made of: one version, and licences that the project may ship. test/e2e/image.e2e.ts builds its image and its SBOM. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }

const textOf = (file: string): string => readFileSync(file, 'utf8')

interface LockedPackage {
  readonly version: string
  readonly license?: string
  readonly dev?: boolean
  readonly link?: boolean
}
const { packages, version } = JSON.parse(textOf('package-lock.json')) as {
  readonly version: string
  readonly packages: Readonly<Record<string, LockedPackage>>
}
const shipped = Object.entries(packages).filter(([path, { dev = false }]) => path !== '' && !dev)

await t.test('the version is that of package.json, wherever it stands', async (test) => {
  test.equal(version, manifest.version)
  for (const file of [
    'README.md',
    'docs/operations.md',
    'manifests/base/deployment.yaml',
    'manifests/cache/statefulset.yaml',
    'manifests/mirror/deployment.yaml',
  ]) {
    const tags = [...textOf(file).matchAll(/\/quay-proxy:([\w.-]+)/g)].map(([, tag]) => tag)
    test.ok(tags.length > 0, file)
    for (const tag of tags) test.equal(tag, manifest.version, file)
  }
  test.match(textOf('CHANGELOG.md'), `\n## ${manifest.version}\n`)
})

/** SPDX. A licence that is not here needs a decision first: some require to publish changes, or to show a notice. */
const allowed = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'PSF-2.0',
  'Unlicense',
])
/** `(MIT OR GPL-3.0)` is allowed by one of them, `MIT AND ISC` by both. A form that is not known is not allowed. */
const isAllowed = (expression: string): boolean =>
  expression
    .replaceAll(/[()]/g, '')
    .split(' AND ')
    .every((part) => part.split(' OR ').some((licence) => allowed.has(licence)))

await t.test('every production dependency has an allowed licence', async (test) => {
  test.ok(shipped.length > 100, `${shipped.length} of them`)
  for (const [path, { license }] of shipped) {
    test.ok(isAllowed(license ?? 'none'), `${path}: ${license}`)
    const installed = JSON.parse(textOf(`${path}/package.json`)) as { readonly license?: unknown }
    test.equal(installed.license, license, `${path}: as its package says`)
  }
  for (const refused of ['GPL-3.0', 'MIT AND GPL-3.0', 'SEE LICENSE IN LICENSE', 'UNLICENSED', 'none'])
    test.notOk(isAllowed(refused), refused)
  test.ok(isAllowed('(MIT OR GPL-3.0)'))
})
