/** A real kube-apiserver with its etcd, as app.ci: found by KUBEBUILDER_ASSETS, as envtest does it. */
import {
  CoreV1Api,
  Health,
  KubeConfig,
  KubernetesObjectApi,
  PatchStrategy,
  type KubernetesObject as ApiObject,
  type V1TokenRequestSpec,
} from '@kubernetes/client-node'
import { SignJWT, importPKCS8 } from 'jose'
import { randomBytes, randomUUID } from 'node:crypto'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readManifests, type KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'
import { answers, freePort, missing, run, startService } from './process.ts'
import { root } from './stack.ts'

export type Account = { namespace: string; name: string }
export type User = { username: string; groups: string[] }
export type ApiServer = {
  /** The token of a user with all rights. */
  admin: KubeConfig
  /** JSON for `--kubeconfig`, with a token of a service account: that of the proxy, unless given. */
  kubeconfig: (account?: Account) => Promise<string>
  /** The token of a user in the token file. */
  userToken: (username: string) => string
  /** A bound token of a service account, as `oc create token` requests it. */
  createToken: (account: Account, expiresInSeconds?: number, audiences?: string[]) => Promise<string>
  /** A token that is bound to an object of the account's namespace. */
  createTokenBoundTo: (object: KubernetesObject, account: Account) => Promise<string>
  /**
   * A token as TokenRequest issues it, but with a lifetime that TokenRequest refuses: signed with the API server's key.
   *
   * @param expiresAt seconds since the epoch
   */
  signToken: (account: Account, expiresAt: number) => Promise<string>
  /** Creates or changes an object, as `oc apply --server-side` does. */
  apply: (object: KubernetesObject) => Promise<void>
  remove: (object: KubernetesObject) => Promise<void>
  /** Connections stay open, and the kernel accepts new ones, but no request is answered. */
  freeze: () => Promise<void>
  thaw: () => void
  /** Connections are refused from now on. */
  stop: () => Promise<void>
  close: () => Promise<void>
}

export const namespaces = ['ci', 'ocp', 'my-team', 'ocp-priv'] as const
/** The objects of manifests/rbac. */
export const proxyAccount: Account = { namespace: 'ci', name: 'quay-proxy' }
// The audience of the API server and of its tokens, as at app.ci.
const issuer = 'https://kubernetes.default.svc'
const administrator: User = { username: 'administrator', groups: ['system:masters'] }

const assets = process.env['KUBEBUILDER_ASSETS'] ?? ''
const asset = (name: string) => resolve(assets, name)

const isExecutable = (file: string) => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The reason to skip, as `missing` returns it for tools. */
export const missingApiServer = (): string | false => {
  const absent = ['kube-apiserver', 'etcd'].find((name) => !isExecutable(asset(name)))
  if (assets !== '' && absent === undefined) return missing('openssl')
  const reason =
    assets === ''
      ? 'KUBEBUILDER_ASSETS is not set: test/e2e/kube-apiserver/build makes such a directory'
      : `${absent} is not in KUBEBUILDER_ASSETS`
  if (process.env['CI'] === 'true') throw new Error(`${reason}, and under CI=true a skip is a failure`)
  return reason
}

const openssl = async (directory: string, ...args: string[]) => {
  const { code, output } = await run('openssl', args, { cwd: directory })
  if (code !== 0) throw new Error(`openssl ${args[0]}: ${output}`)
}

/** The serving certificate, signed by itself, and the key that signs the tokens of service accounts. */
const generateKeys = async (directory: string) => {
  await openssl(
    directory,
    ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1'.split(' '),
    ...'-addext subjectAltName=IP:127.0.0.1 -keyout tls.key -out tls.crt'.split(' '),
  )
  await openssl(directory, ...'genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out sa.key'.split(' '))
  return {
    certificate: await readFile(join(directory, 'tls.crt')),
    signingKey: await readFile(join(directory, 'sa.key'), 'utf8'),
  }
}

const startEtcd = async (directory: string) => {
  const url = `http://127.0.0.1:${await freePort()}`
  const args = [
    `--data-dir=${join(directory, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    '--listen-peer-urls=http://127.0.0.1:0',
    '--log-level=error',
  ]
  const service = await startService(asset('etcd'), args, () => answers(`${url}/health`, 200))
  return { url, service }
}

const startKubeApiServer = async (directory: string, etcd: string, port: number, admin: KubeConfig) => {
  const file = (name: string) => join(directory, name)
  const args = [
    `--etcd-servers=${etcd}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    // No endpoint of the service `kubernetes`: it must not be loopback, and no test uses it.
    '--endpoint-reconciler-type=none',
    '--advertise-address=127.0.0.1',
    '--service-cluster-ip-range=10.0.0.0/24',
    `--tls-cert-file=${file('tls.crt')}`,
    `--tls-private-key-file=${file('tls.key')}`,
    '--authorization-mode=RBAC',
    `--token-auth-file=${file('tokens.csv')}`,
    `--service-account-issuer=${issuer}`,
    `--service-account-key-file=${file('sa.key')}`,
    `--service-account-signing-key-file=${file('sa.key')}`,
    '--v=0',
  ]
  const health = new Health(admin)
  // sh prints its process id, which freeze and thaw need, and becomes the server.
  const service = await startService(
    'sh',
    ['-c', 'echo $$ && exec "$@"', 'sh', asset('kube-apiserver'), ...args],
    () => health.readyz({ signal: AbortSignal.timeout(2000) }),
    { cwd: directory, patience: 60_000 },
  )
  return { service, pid: Number(service.stdout().split('\n')[0]) }
}

const kubeConfigOf = (server: string, certificate: Buffer, token: string) => {
  const kubeConfig = new KubeConfig()
  kubeConfig.loadFromOptions({
    clusters: [{ name: 'app.ci', server, caData: certificate.toString('base64'), skipTLSVerify: false }],
    users: [{ name: 'user', token }],
    contexts: [{ name: 'app.ci', cluster: 'app.ci', user: 'user' }],
    currentContext: 'app.ci',
  })
  return kubeConfig
}

const writeTokens = async (file: string, users: readonly User[]) => {
  const tokens = new Map(users.map(({ username }) => [username, randomBytes(32).toString('hex')]))
  const lines = users.map(
    ({ username, groups }) =>
      `${tokens.get(username)},${username},uid-of-${username},"${groups.join(',')}"\n`,
  )
  await writeFile(file, lines.join(''), { mode: 0o600 })
  return (username: string) => {
    const token = tokens.get(username)
    if (token === undefined) throw new Error(`nobody is called ${username}`)
    return token
  }
}

/** The requests of a client with all rights. */
const administration = (admin: KubeConfig) => {
  const objects = KubernetesObjectApi.makeApiClient(admin)
  const core = admin.makeApiClient(CoreV1Api)
  const asHeader = (object: KubernetesObject) => object as ApiObject & { metadata: Account }
  const requestToken = async ({ namespace, name }: Account, spec: V1TokenRequestSpec) => {
    const { status } = await core.createNamespacedServiceAccountToken({ namespace, name, body: { spec } })
    // A token is optional in the generated types, but the server always sends one.
    return status!.token!
  }
  return {
    apply: async (object: KubernetesObject) =>
      void (await objects.patch(
        asHeader(object),
        undefined,
        undefined,
        'quay-proxy-e2e',
        // Not forced: a change of an object that the API server created itself is a conflict.
        false,
        PatchStrategy.ServerSideApply,
      )),
    remove: async (object: KubernetesObject) => void (await objects.delete(asHeader(object))),
    createToken: (account: Account, expirationSeconds = 3600, audiences: string[] = []) =>
      requestToken(account, { audiences, expirationSeconds }),
    createTokenBoundTo: (object: KubernetesObject, account: Account) => {
      const { apiVersion, kind, metadata } = asHeader(object)
      return requestToken(account, {
        audiences: [],
        boundObjectRef: { apiVersion: apiVersion!, kind: kind!, name: metadata.name },
      })
    },
    uidOf: async (account: Account) => (await core.readNamespacedServiceAccount(account)).metadata!.uid!,
  }
}

/** @see https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens */
const signToken = async (key: string, { namespace, name }: Account, uid: string, expiresAt: number) => {
  const now = Math.floor(Date.now() / 1000)
  return await new SignJWT({ 'kubernetes.io': { namespace, serviceaccount: { name, uid } } })
    .setProtectedHeader({ alg: 'RS256' })
    .setIssuer(issuer)
    .setSubject(`system:serviceaccount:${namespace}:${name}`)
    .setAudience([issuer])
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(expiresAt)
    .setJti(randomUUID())
    .sign(await importPKCS8(key, 'RS256'))
}

/** Whether every thread has stopped. The signal takes a moment, in which a request may still be answered. */
const isFrozen = async (pid: number) => {
  const threads = `/proc/${pid}/task`
  const states = await Promise.all(
    (await readdir(threads)).map(async (id) =>
      // A thread may end before its state is read.
      readFile(join(threads, id, 'stat'), 'utf8').catch(() => ''),
    ),
  )
  return states.every((state) => /^\d+ \(.*\) T /s.test(state))
}

/**
 * Starts both on free ports of loopback, with the namespaces of OpenShift CI that the tests need and `manifests` applied.
 *
 * @param users users of the token file, in addition to the administrator
 */
export const startApiServer = async (users: readonly User[] = []): Promise<ApiServer> => {
  await using started = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'qp-api-server-'))
  started.defer(() => rm(directory, { recursive: true, force: true }))
  const { certificate, signingKey } = await generateKeys(directory)
  const userToken = await writeTokens(join(directory, 'tokens.csv'), [administrator, ...users])
  const etcd = await startEtcd(directory)
  started.defer(async () => void (await etcd.service.stop()))
  const port = await freePort()
  const server = `https://127.0.0.1:${port}`
  const admin = kubeConfigOf(server, certificate, userToken(administrator.username))
  const { service, pid } = await startKubeApiServer(directory, etcd.url, port, admin)
  let stopped = false
  // When the server has ended, another process may get its id.
  const signal = (name: NodeJS.Signals) => void (stopped || process.kill(pid, name))
  const stop = async () => {
    try {
      // After SIGTERM it may take more than ten seconds to end, and a frozen one does not receive the signal.
      signal('SIGKILL')
    } finally {
      await service.stop()
      stopped = true
    }
  }
  started.defer(stop)

  const { apply, remove, createToken, createTokenBoundTo, uidOf } = administration(admin)
  for (const name of namespaces) await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  for (const directoryName of ['rbac', 'examples'])
    for (const object of await readManifests(join(root, 'manifests', directoryName))) await apply(object)

  const disposers = started.move()
  return {
    admin,
    kubeconfig: async (account = proxyAccount) =>
      kubeConfigOf(server, certificate, await createToken(account)).exportConfig(),
    userToken,
    createToken,
    createTokenBoundTo,
    signToken: async (account, expiresAt) => signToken(signingKey, account, await uidOf(account), expiresAt),
    apply,
    remove,
    freeze: async () => {
      signal('SIGSTOP')
      while (!(await isFrozen(pid))) await sleep(1)
    },
    thaw: () => signal('SIGCONT'),
    stop,
    close: () => disposers.disposeAsync(),
  }
}
