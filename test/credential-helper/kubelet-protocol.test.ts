import t from 'tap'
import { answerKubelet } from '../../src/credential-helper/kubelet-protocol.ts'

const apiVersion = 'credentialprovider.kubelet.k8s.io/v1'
const good = { apiVersion, kind: 'CredentialProviderRequest', image: 'proxy.example/ocp/4.5:base' }
const answer = async (request: unknown) =>
  await answerKubelet({
    input: typeof request === 'string' ? request : JSON.stringify(request),
    hosts: ['proxy.example'],
    find: async () => ({ username: 'alice', secret: 'sha256~abc' }),
  })
const response = {
  apiVersion,
  kind: 'CredentialProviderResponse',
  cacheKeyType: 'Registry',
  cacheDuration: '1m0s',
}

await t.test('the credential of the settings', async (test) => {
  test.strictSame(await answer(good), {
    ...response,
    auth: { 'proxy.example': { username: 'alice', password: 'sha256~abc' } },
  })
})

await t.test('the token of the service account of the pod', async (test) => {
  test.strictSame(await answer({ ...good, serviceAccountToken: 'eyJ.a.b' }), {
    ...response,
    auth: { 'proxy.example': { username: 'service-account', password: 'eyJ.a.b' } },
  })
  await test.rejects(answer({ ...good, serviceAccountToken: 'a b' }), {
    message: 'the token of the kubelet cannot be read',
  })
})

await t.test('attack: no other registry gets one', async (test) => {
  for (const image of ['docker.io/library/nginx', 'nginx', 'proxy.example.evil.example/a/b', ''])
    test.strictSame(await answer({ ...good, image, serviceAccountToken: 'eyJ.a.b' }), {
      ...response,
      auth: {},
    })
})

await t.test('another input is refused', async (test) => {
  for (const request of [
    '',
    'proxy.example',
    'null',
    '[]',
    { ...good, apiVersion: 'credentialprovider.kubelet.k8s.io/v1beta1' },
    { ...good, kind: 'Pod' },
    { ...good, image: 1 },
    { ...good, serviceAccountToken: {} },
  ])
    await test.rejects(answer(request), {
      message: `the input is no CredentialProviderRequest of ${apiVersion}`,
    })
})
