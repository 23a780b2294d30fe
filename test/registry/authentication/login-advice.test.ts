import t from 'tap'
import { createLoginAdvice } from '../../../src/registry/authentication/login-advice.ts'

const podman = 'podman login -u=$(oc whoami) -p=$(oc whoami -t) proxy.example'

await t.test('without the URL of the cluster: the server that oc knows', async (test) => {
  test.strictSame(createLoginAdvice({ host: 'proxy.example' }), {
    host: 'proxy.example',
    cluster: '',
    first: podman,
    again: `oc login, then ${podman}`,
  })
})

await t.test('with the URL: the right cluster, first and again', async (test) => {
  const clusterUrl = new URL('https://api.ci.example:6443')
  const command = `oc login https://api.ci.example:6443, then ${podman}`
  test.strictSame(createLoginAdvice({ host: 'proxy.example', clusterUrl }), {
    host: 'proxy.example',
    cluster: 'oc login https://api.ci.example:6443, then ',
    first: command,
    again: command,
  })
})
