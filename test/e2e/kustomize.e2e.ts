/**
 * manifests/ by kustomize and by a real API server, which has definitions for the objects of OpenShift and of the Prometheus operator:
 * each object passes its dry run.
 */
import { KubernetesObjectApi, loadAllYaml, loadYaml, PatchStrategy } from '@kubernetes/client-node'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { readManifests, type KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'
import { accumulate } from '../project/kustomize.ts'
import { missingApiServer, startApiServer, type ApiServer } from './api-server.ts'
import { missing, run } from './process.ts'
import { root } from './stack.ts'

const directories = [
  'manifests',
  'manifests/cache',
  'manifests/mirror',
  'manifests/overlays/app.ci',
  'manifests/overlays/build-farm',
  'manifests/overlays/kind',
]
/** Applied by `oc apply -f`, or copied. */
const plain = ['manifests/distribution', 'manifests/examples', 'manifests/mirror-sets']

const build = async (directory: string): Promise<KubernetesObject[]> => {
  const { code, stdout, output } = await run('kustomize', ['build', join(root, directory)])
  if (code !== 0) throw new Error(output)
  return loadAllYaml(stdout) as KubernetesObject[]
}
const nameOf = ({ kind, metadata }: KubernetesObject) =>
  `${kind} ${metadata?.namespace ?? '-'}/${metadata?.name}`
/** As plain JSON, because patched objects have other classes. */
const byName = (objects: readonly KubernetesObject[]) =>
  (JSON.parse(JSON.stringify(objects)) as KubernetesObject[]).toSorted((one, other) =>
    nameOf(one).localeCompare(nameOf(other)),
  )

await test(
  'kustomize builds what the tests of manifests/ look at',
  { skip: missing('kustomize') },
  async (t) => {
    for (const directory of directories) {
      const built = byName(await build(directory))
      t.same(built, byName((await accumulate(join(root, directory))).objects), directory)
    }
  },
)

const tools = process.env['E2E_TOOLS']
const noDefinitions =
  tools === undefined && 'E2E_TOOLS is not set: test/e2e/tools/build makes such a directory'
const skip = missing('kustomize') || missingApiServer() || noDefinitions

/** Kinds that Kubernetes itself does not have. */
const define = async (api: ApiServer): Promise<void> => {
  const crds = join(tools!, 'crds')
  for (const file of await readdir(crds))
    await api.apply(loadYaml<KubernetesObject>(await readFile(join(crds, file), 'utf8')))
}

await test('an API server accepts every object', { skip }, async (t) => {
  const api = await startApiServer()
  t.teardown(api.close)
  await define(api)
  const client = KubernetesObjectApi.makeApiClient(api.admin)
  const dryRun = (object: KubernetesObject) =>
    client.patch(object, undefined, 'All', 'quay-proxy-dry-run', true, PatchStrategy.ServerSideApply)
  const rule = await readFile(join(root, 'manifests/components/monitoring/prometheusrule.yaml'), 'utf8')
  const wrong = loadYaml<KubernetesObject>(rule.replaceAll('expr:', 'exprs:'))
  // The API server serves a definition a moment after it accepts it.
  for (let tries = 0; tries < 50; tries++) {
    const refused = await dryRun(wrong).catch((error: unknown) => String(error))
    if (typeof refused === 'string' && refused.includes('exprs')) break
    await sleep(200)
  }
  await t.rejects(dryRun(wrong), /exprs/, 'a field that does not exist is refused')

  const objects = [
    ...(await Promise.all(directories.map(build))).flat(),
    ...(await Promise.all(plain.map((directory) => readManifests(join(root, directory))))).flat(),
  ]
  for (const object of objects) await t.resolves(dryRun(object), nameOf(object))
  t.ok(objects.length > 50)
})
