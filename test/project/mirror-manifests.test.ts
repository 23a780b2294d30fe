/** manifests/mirror: the deployment of ci-images-mirror can start, and has the rights that it uses and no others. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type {
  V1ClusterRole,
  V1Deployment,
  V1NetworkPolicy,
  V1Role,
  V1RoleBinding,
  V1Service,
} from '@kubernetes/client-node'
import t from 'tap'
import { parseMirrorArguments } from '../../src/mirror/arguments.ts'
import { readManifests, type KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'
import { accumulate } from './kustomize.ts'

const root = join(import.meta.dirname, '../..')
const { objects } = await accumulate(join(root, 'manifests/mirror'))
const find = (kind: string): KubernetesObject => {
  const found = objects.find((object) => object.kind === kind)
  if (found === undefined) throw new Error(`no ${kind}`)
  return found
}
const deployment = find('Deployment') as V1Deployment
const pod = deployment.spec!.template.spec!
const container = pod.containers.find(({ name }) => name === 'ci-images-mirror')!
const proxy = (await readManifests(join(root, 'manifests/base'))).find(
  ({ kind }) => kind === 'Deployment',
) as V1Deployment
const proxyContainer = proxy.spec!.template.spec!.containers[0]!

await t.test('the program is that of the image of quay-proxy, and its flags exist', async (test) => {
  test.equal(container.image, proxyContainer.image)
  const [node, option, file = ''] = container.command!
  test.strictSame([node, option], ['node', '--disable-sigusr1'])
  test.ok(existsSync(join(root, file.replace('/app/', ''))), file)
  test.doesNotThrow(() => parseMirrorArguments(container.args!))
})

await t.test('it has the lease and the ImageStreams, and no other right', async (test) => {
  test.strictSame(JSON.parse(JSON.stringify((find('ClusterRole') as V1ClusterRole).rules)), [
    { apiGroups: ['image.openshift.io'], resources: ['imagestreams'], verbs: ['list'] },
  ])
  test.strictSame(JSON.parse(JSON.stringify((find('Role') as V1Role).rules)), [
    { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
    {
      apiGroups: ['coordination.k8s.io'],
      resourceNames: ['ci-image-mirror'],
      resources: ['leases'],
      verbs: ['get', 'update'],
    },
  ])
  for (const kind of ['ClusterRoleBinding', 'RoleBinding']) {
    const { subjects, roleRef } = find(kind) as unknown as V1RoleBinding
    test.match(subjects, [{ kind: 'ServiceAccount', name: pod.serviceAccountName, namespace: 'ci' }])
    test.equal(roleRef.name, 'ci-images-mirror')
  }
})

await t.test('the robot that writes is not that of quay-proxy', async (test) => {
  const secrets = (from: V1Deployment) =>
    from.spec!.template.spec!.volumes!.flatMap(({ secret }) => secret?.secretName ?? [])
  for (const name of secrets(deployment)) test.notOk(secrets(proxy).includes(name), name)
})

await t.test('the API is for the namespace alone, and pods have no privileges', async (test) => {
  const { spec } = find('NetworkPolicy') as V1NetworkPolicy
  const { labels } = deployment.spec!.template.metadata!
  test.same(spec!.podSelector!.matchLabels, labels)
  test.same((find('Service') as V1Service).spec!.selector, labels)
  const ports = container.ports!.map(({ containerPort }) => containerPort)
  test.same(
    spec!.ingress!.flatMap(({ ports: open }) => open!.map(({ port }) => port)),
    ports,
  )
  for (const { _from: from } of spec!.ingress!) test.ok(from!.length > 0)
  for (const { securityContext } of [...pod.containers, ...pod.initContainers!])
    test.same(securityContext, proxyContainer.securityContext)
  test.notOk(objects.some(({ kind }) => kind === 'Route'))
})
