/** app.ci of the sandbox, with people and a service account that may pull all of QCI. */
import { startKubernetesApi, type KubernetesApi } from '../../../src/sandbox/app-ci/kubernetes-api.ts'
import type { KubernetesObject } from '../../../src/sandbox/app-ci/rbac.ts'
import { projectManifests } from '../../sandbox/app-ci/project-manifests.ts'

export interface AppCi extends AsyncDisposable {
  readonly api: KubernetesApi
  /** The token of one more person that may pull all of QCI. */
  readonly issue: (username: string) => string
  /** A service account's token, as long as those of app.ci: 900 bytes. */
  readonly longToken: string
}

const account = { namespace: 'ci', name: 'puller' }

/** The groups that open all of QCI. */
const binding = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: 'bench', namespace: 'ocp' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'qci-image-puller' },
  subjects: [{ kind: 'ServiceAccount', ...account }],
} as KubernetesObject

export const startAppCi = async (): Promise<AppCi> => {
  const api = await startKubernetesApi({ objects: [...projectManifests, binding] })
  return {
    api,
    issue: (username) => api.issueUserToken({ username, groups: ['qci-image-pullers'] }),
    longToken: tokenOf(api, 900),
    [Symbol.asyncDispose]: async () => await api.close(),
  }
}

/** A second audience makes up the length. */
const tokenOf = (api: KubernetesApi, length: number): string => {
  const withAudience = (characters: number) =>
    api.issueServiceAccountToken({
      ...account,
      expiresInSeconds: 86_400,
      audiences: ['https://kubernetes.default.svc', `https://${'x'.repeat(characters)}`],
    })
  // Three characters of a claim are four of the token.
  const missing = Math.floor(((length - withAudience(1).length) * 3) / 4)
  return withAudience(Math.max(1, missing))
}
