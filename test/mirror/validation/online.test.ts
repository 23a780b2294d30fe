import t from 'tap'
import type { Test } from 'tap'
import { checkOnline } from '../../../src/mirror/validation/online.ts'
import { Repository } from '../../../src/mirror/registry/repository.ts'
import { ociIndex, putContent, putImage, putIndex, tag } from '../../support/image-fixtures.ts'
import { startPushableRegistry } from '../../support/pushable-registry.ts'
import { clientOf } from '../registry/clients.ts'
import { configOf, supplemental } from './entries.ts'

const started = async (test: Test) => {
  const registry = await startPushableRegistry(test)
  const client = clientOf(test, registry)
  const check = async (yaml: string, base?: string) =>
    await checkOnline(configOf(yaml), {
      base: base === undefined ? undefined : configOf(base),
      repositoryOf: (_registry, name, image) => new Repository({ client, name, mayPush: false, image }),
      qci: { registry: 'quay.io', repository: 'openshift/ci' },
    })
  const team = registry.repository('team/tool')
  tag(team, 'v1', putImage(team, 'a'))
  tag(team, 'v2', putIndex(team, 'b'))
  return { registry, check, team }
}

await t.test('sources that cannot be copied, each with its reason', async (t) => {
  const { registry, check, team } = await started(t)
  tag(team, 'empty', putContent(team, { manifests: [] }, ociIndex))
  tag(
    team,
    'schema1',
    putContent(
      team,
      { schemaVersion: 1, fsLayers: [] },
      'application/vnd.docker.distribution.manifest.v1+json',
    ),
  )
  const broken = registry.repository('team/broken')
  tag(broken, 'v1', putIndex(broken, 'c'))
  broken.manifests.delete([...broken.manifests.keys()][0] as string)
  registry.fault = ({ path }) => (path.includes('team/slow') ? { status: 503 } : undefined)
  const problems = await check(
    `${supplemental({
      'a/good:1': 'quay.io/team/tool:v1',
      'a/list:1': 'quay.io/team/tool:v2',
      'a/none:1': 'quay.io/team/tool:none',
      'a/empty:1': 'quay.io/team/tool:empty',
      'a/old:1': 'quay.io/team/tool:schema1',
      'a/broken:1': 'quay.io/team/broken:v1',
      'a/slow:1': 'quay.io/team/slow:v1',
      'a/ignored:1': 'quay.io/team/ignored:v1',
    })}ignoredSources: [{image: "quay.io/team/ignored:v1", reason: broken}]\n`,
  )
  const found = new Map(
    problems.map(({ subject, severity, message, cure }) => [subject, `${severity}: ${message}; ${cure}`]),
  )
  t.match(Object.fromEntries(found), {
    'supplementalCIImages[a/none:1]': /^error: source image quay.io\/team\/tool:none does not exist; push it/,
    'supplementalCIImages[a/empty:1]': /has no platforms/,
    'supplementalCIImages[a/old:1]': /schema 1, whose digest no copy keeps/,
    'supplementalCIImages[a/broken:1]': /a part of the list .*; make the image public and whole/,
    'supplementalCIImages[a/slow:1]': /answered 503 .*; run the check again/,
  })
  t.equal(found.size, 5)
})

await t.test('with the previous version, only entries that a change adds are read', async (t) => {
  const { registry, check } = await started(t)
  const qci = registry.repository('openshift/ci')
  tag(qci, 'a_new_1', putImage(qci, 'promoted'))
  tag(qci, 'a_moved_1', putImage(qci, 'of before'))
  const old = { 'a/same:1': 'quay.io/team/tool:none', 'a/moved:1': 'quay.io/team/tool:v1' }
  const problems = await check(
    supplemental({
      ...old,
      'a/moved:1': 'quay.io/team/tool:v2',
      'a/new:1': 'quay.io/team/tool:v1',
      'a/free:1': 'quay.io/team/tool:v1',
    }),
    supplemental(old),
  )
  t.match(problems, [
    {
      severity: 'warning',
      subject: 'supplementalCIImages[a/new:1]',
      message: 'target a/new:1 already exists in quay.io/openshift/ci as a_new_1',
    },
  ])
  t.ok(registry.requests.every(({ method }) => method === 'GET' || method === 'HEAD'))
})

await t.test('after the deadline no entry is read, and each has a problem', async (t) => {
  const progress: string[] = []
  const problems = await checkOnline(
    configOf(supplemental({ 'a/b:c': 'quay.io/team/tool:v1', 'a/b:d': 'fedora' })),
    {
      repositoryOf: () => {
        throw new TypeError('it is read')
      },
      qci: { registry: 'quay.io', repository: 'openshift/ci' },
      signal: AbortSignal.abort(),
      onRead: (read, all) => progress.push(`${read}/${all}`),
    },
  )
  t.match(problems, [
    { severity: 'error', position: { line: 2 }, message: /was not read before the deadline$/ },
  ])
  t.strictSame(progress, ['1/1'])
})

await t.test('an error that is not a failure of a registry is thrown', async (t) => {
  await t.rejects(
    checkOnline(configOf(supplemental({ 'a/b:c': 'quay.io/team/tool:v1' })), {
      repositoryOf: () => {
        throw new TypeError('a fault of the program')
      },
      qci: { registry: 'quay.io', repository: 'openshift/ci' },
    }),
    { name: 'TypeError' },
  )
})
