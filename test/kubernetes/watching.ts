import { KubeConfig } from '@kubernetes/client-node'
import type { Test } from 'tap'
import { startKubernetesApi } from '../../src/sandbox/app-ci/kubernetes-api.ts'
import { projectManifests as objects } from '../sandbox/app-ci/project-manifests.ts'

export const hex = (letter: string) => `sha256:${letter.repeat(64)}`

/** app.ci, and the kubeconfig that the proxy has of it. */
export const startApi = async (test: Test) => {
  const api = await startKubernetesApi({ objects })
  test.teardown(() => api.close())
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromString(api.kubeconfig())
  return { api, imageStreams: api.imageStreams, kubeConfig }
}
