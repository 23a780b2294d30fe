import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import type { Test } from 'tap'
import { startKubernetesApi } from '../../src/sandbox/app-ci/kubernetes-api.ts'
import { readManifests } from '../../src/sandbox/app-ci/rbac.ts'

const objects = await readManifests(join(import.meta.dirname, '../../manifests/rbac'))

export const hex = (letter: string) => `sha256:${letter.repeat(64)}`

/** app.ci, and the kubeconfig that the proxy has of it. */
export const startApi = async (test: Test) => {
  const api = await startKubernetesApi({ objects })
  test.teardown(() => api.close())
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(api.kubeconfig())
  return { api, imageStreams: api.imageStreams, kubeConfig }
}
