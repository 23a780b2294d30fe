import { KubeConfig } from '@kubernetes/client-node'
import t from 'tap'
import { kubeconfigOf } from '../../../src/sandbox/app-ci/kubeconfig.ts'

await t.test('a kubeconfig leads to the server, with the token', (test) => {
  const config = new KubeConfig()
  config.loadFromString(kubeconfigOf('http://127.0.0.1:1', 'secret'))
  test.equal(config.getCurrentCluster()?.server, 'http://127.0.0.1:1')
  test.equal(config.getCurrentUser()?.token, 'secret')
  test.end()
})
