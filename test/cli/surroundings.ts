/** What `serve` needs around it: an app.ci, a quay, and the files that its flags name. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { startKubernetesApi } from '../../src/sandbox/app-ci/kubernetes-api.ts'
import { quayFor, robot } from '../sandbox/quay/quay-client.ts'

export const good = {
  username: 'robot',
  password: 'hunter2-hunter2-hunter2',
  secret: '5e1d8a07c3f94b62a0d71e3c9b58f640',
}

export const write = (test: Test, contents: Record<string, string | Buffer>) => {
  const folder = test.testdir()
  for (const [name, content] of Object.entries(contents))
    writeFileSync(join(folder, name), content, { mode: 0o600 })
  return (name: string) => join(folder, name)
}

/** A line of the log in audit mode: a service account that would lose access to an image of `ocp`. */
export const auditLoss = JSON.stringify({
  time: '2026-11-20T21:55:19.000Z',
  difference: 'loss',
  identity: 'system:serviceaccount:my-team:default',
  kind: 'service-account',
  namespace: 'ocp',
  image: 'ocp_4.5_base',
  openedBy: ['image-puller', 'qci-wide'],
  msg: 'audit',
})

export const secretFlags = (path: (name: string) => string) => [
  `--robot-username-file=${path('username')}`,
  `--robot-password-file=${path('password')}`,
  `--token-secret-file=${path('secret')}`,
]

/** An app.ci, a quay, and the flags that lead to them. */
export const surroundings = async (test: Test) => {
  const kubernetes = await startKubernetesApi({ objects: [] })
  test.teardown(() => kubernetes.close())
  const quay = await quayFor(test)
  const files = { username: robot.username, password: robot.password, secret: good.secret }
  const path = write(test, { ...files, kubeconfig: kubernetes.kubeconfig() })
  return {
    quay,
    path,
    flags: [...secretFlags(path), `--upstream=${quay.url}`, `--kubeconfig=${path('kubeconfig')}`],
  }
}
