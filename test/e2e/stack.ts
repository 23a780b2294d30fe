import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { seedQuay, type SeededImages } from '../../src/sandbox/quay/content.ts'
import { startKubernetesApi, type KubernetesApi } from '../../src/sandbox/app-ci/kubernetes-api.ts'
import type { RecordedRequest } from '../../src/sandbox/quay/origin.ts'
import { startQuay, type Quay } from '../../src/sandbox/quay/quay.ts'
import { readManifests } from '../../src/sandbox/app-ci/rbac.ts'
import { answers, freePort, startService, type Service } from './process.ts'
import { startRegistry, type Registry } from './registry.ts'
import { seed, type Seeded } from './seed.ts'
import { createTokenRealm, type Account, type TokenRequest } from './token-realm.ts'

export const root = resolve(import.meta.dirname, '../..')
const repository = 'openshift/ci'
export const robot: Account = {
  username: 'openshift+ci_reader',
  password: 'robot-password-4711',
  actions: ['pull'],
}
export const promoter: Account = {
  username: 'promoter',
  password: 'promoter-password-4711',
  actions: ['pull', 'push'],
}
const tokenSecret = 'token-secret-4711-token-secret-4711-token-secret-4711'
const tags = ['ocp_4.5_base', 'ocp_4.15_base', 'my-team_app_latest', 'ocp-priv_4.5_embargoed'] as const

// The service account of manifests/examples/service-account.yaml.
export const serviceAccount = { namespace: 'my-team', name: 'image-puller' }
export const serviceAccountUser = `system:serviceaccount:${serviceAccount.namespace}:${serviceAccount.name}`

type Tokens = { alice: string; mallory: string; serviceAccount: string; invalid: string }

/** The fake of quay. */
type Upstream = {
  url: string
  /** The requests to its realm since it was filled. */
  tokenRequests: () => Pick<TokenRequest, 'username' | 'scopes'>[]
  /** The tokens that it issued. */
  issued: () => string[]
}

/** The parts of the stack that the test of one client needs. */
export type Workplace = {
  /** host:port of the proxy, as an image reference begins */
  host: string
  directory: string
  /** A new empty directory of this test. */
  scratch: (name: string) => Promise<string>
  /** Ends with the test. */
  defer: (dispose: () => Promise<unknown>) => void
}

type Base = Workplace & {
  url: string
  tokens: Tokens
  /** The proxy's own answer to a credential: the text that a client should show. */
  message: (path: string, token: string) => Promise<string>
  /** Whether the proxy's log has, or soon gets, a line with all three. */
  logged: (method: string, path: string, status: number) => Promise<boolean>
  /** Secrets that must not be in the proxy's log, by owner. */
  secrets: () => [owner: string, secret: string][]
  tokenRequests: Upstream['tokenRequests']
  proxy: Service
}

/** Debian's docker-registry as quay. */
export type Stack = Base & {
  image: (tag: (typeof tags)[number]) => Seeded
  upstream: Registry
}
/** The sandbox's quay, which redirects blobs to a CDN and knows referrers. */
export type QuayStack = Base & { quay: Quay; stock: SeededImages }

// alice is in the group that may pull all of QCI. mallory has a login and no rights.
const issueTokens = (kubernetes: KubernetesApi): Tokens => ({
  alice: kubernetes.issueUserToken({
    username: 'alice',
    groups: ['qci-image-pullers', 'system:authenticated'],
  }),
  mallory: kubernetes.issueUserToken({ username: 'mallory', groups: ['system:authenticated'] }),
  serviceAccount: kubernetes.issueServiceAccountToken(serviceAccount),
  invalid: 'sha256~a-token-of-some-other-cluster-4711-47114711',
})

const write = async (directory: string, files: Record<string, string>) => {
  const paths = Object.keys(files).map((name) => [name, join(directory, name)] as const)
  for (const [name, path] of paths) await writeFile(path, files[name] ?? '', { mode: 0o600 })
  return Object.fromEntries(paths)
}

const startProxy = async (directory: string, upstream: string, kubeconfig: string) => {
  const files = await write(directory, {
    'robot-username': robot.username,
    'robot-password': `${robot.password}\n`,
    'token-secret': tokenSecret,
    kubeconfig,
  })
  const host = `127.0.0.1:${await freePort()}`
  const url = `http://${host}`
  const args = [
    `--listen-addr=${host}`,
    `--exposed-url=${url}`,
    `--upstream=${upstream}`,
    `--upstream-repository=${repository}`,
    `--robot-username-file=${files['robot-username']}`,
    `--robot-password-file=${files['robot-password']}`,
    `--token-secret-file=${files['token-secret']}`,
    `--kubeconfig=${files['kubeconfig']}`,
    '--grace-period=2s',
    '--log-level=info',
  ]
  const ready = () => answers(`${url}/readyz`, 200)
  const main = join(root, 'bin/quay-proxy.js')
  const service = await startService(process.execPath, [main, 'serve', ...args], ready, { cwd: directory })
  return { host, url, service }
}

/** Every value in a log entry, at any depth. */
const leaves = (value: unknown): unknown[] =>
  typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : [value]

const hasLine = (log: string, method: string, path: string, status: number) =>
  log
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('{'))
    .map((line) => leaves(JSON.parse(line)))
    .some(
      (values) =>
        values.includes(method) &&
        values.includes(status) &&
        values.some((value) => typeof value === 'string' && value.split('?')[0] === path),
    )

const soon = async (holds: () => boolean) => {
  for (let patience = 20; patience > 0 && !holds(); patience--) await sleep(50)
  return holds()
}

const messageOf = async (url: string, token: string) => {
  const authorization = `Basic ${Buffer.from(`someone:${token}`).toString('base64')}`
  const response = await fetch(url, { headers: { authorization } })
  const { errors } = (await response.json()) as { errors: { message: string }[] }
  if (!errors[0]?.message) throw new Error(`${response.status} without a message from ${url}`)
  return errors[0].message
}

/** app.ci, a fake of quay, and the proxy between them. All end with the test. */
const startBase = async <U extends Upstream>(
  t: Test,
  startUpstream: (directory: string, disposers: AsyncDisposableStack) => Promise<U>,
): Promise<[Base, U]> => {
  const disposers = new AsyncDisposableStack()
  t.teardown(() => disposers.disposeAsync())
  const directory = await mkdtemp(join(tmpdir(), 'qp-e2e-'))
  disposers.defer(() => rm(directory, { recursive: true, force: true }))
  const upstream = await startUpstream(directory, disposers)

  const objects = [
    ...(await readManifests(join(root, 'manifests/rbac'))),
    ...(await readManifests(join(root, 'manifests/examples'))),
  ]
  const kubernetes = await startKubernetesApi({ objects })
  disposers.defer(() => kubernetes.close())
  const tokens = issueTokens(kubernetes)
  const { host, url, service: proxy } = await startProxy(directory, upstream.url, kubernetes.kubeconfig())
  disposers.defer(async () => void (await proxy.stop()))

  const base: Base = {
    host,
    url,
    directory,
    tokens,
    tokenRequests: upstream.tokenRequests,
    proxy,
    message: (path, token) => messageOf(url + path, token),
    logged: (method, path, status) => soon(() => hasLine(proxy.stdout(), method, path, status)),
    secrets: () => [
      ...Object.entries(tokens),
      ['the robot', robot.password],
      ['the realm', tokenSecret],
      ['the proxy on app.ci', /token: (\S+)/.exec(kubernetes.kubeconfig())![1]!],
      ...upstream.issued().map((token): [string, string] => ['quay', token]),
    ],
    scratch: async (name) => {
      const path = join(directory, name)
      await mkdir(path)
      return path
    },
    defer: (dispose) => disposers.defer(async () => void (await dispose())),
  }
  return [base, upstream]
}

export const startStack = async (t: Test): Promise<Stack> => {
  const [base, { seeded, registry: upstream }] = await startBase(t, async (directory, disposers) => {
    const realm = await createTokenRealm(directory, [robot, promoter])
    const registry = await startRegistry(directory, realm)
    disposers.defer(registry.stop)
    const images = await seed(directory, registry, promoter, repository, tags)
    // The requests of seeding are not the proxy's.
    realm.requests.length = 0
    realm.issued.length = 0
    return {
      url: registry.url,
      tokenRequests: () => realm.requests,
      issued: () => realm.issued,
      seeded: images,
      registry,
    }
  })
  return { ...base, image: (tag) => seeded.get(tag)!, upstream }
}

const authorizationOf = ({ headers }: RecordedRequest) => headers.authorization ?? ''

const quayTokenRequests = ({ requests }: Quay) =>
  requests
    .filter(({ url }) => url.startsWith('/v2/auth'))
    .map((request) => {
      const credential = Buffer.from(authorizationOf(request).replace(/^Basic /, ''), 'base64').toString()
      const scopes = new URL(request.url, 'http://quay').searchParams.getAll('scope')
      return { username: credential.split(':')[0], scopes }
    })

// The robot's tokens, as the proxy sent them.
const quayTokens = ({ requests }: Quay) => {
  const bearer = requests.map(authorizationOf).filter((value) => value.startsWith('Bearer '))
  return [...new Set(bearer)].map((value) => value.slice('Bearer '.length))
}

export const startQuayStack = async (t: Test): Promise<QuayStack> => {
  const [base, { quay, stock }] = await startBase(t, async (_directory, disposers) => {
    const started = await startQuay({ repository, robot })
    disposers.defer(() => started.close())
    return {
      url: started.url,
      tokenRequests: () => quayTokenRequests(started),
      issued: () => quayTokens(started),
      quay: started,
      stock: await seedQuay(started),
    }
  })
  return { ...base, quay, stock }
}

/** By tag, as alice: an image that nobody has pulled by tag is in no list of tags or referrers. */
export const pullByTag = async ({ url, tokens }: Base, tag: string) => {
  const headers = { authorization: `Bearer ${tokens.alice}` }
  const response = await fetch(`${url}/v2/${repository}/manifests/${tag}`, { headers })
  const body = Buffer.from(await response.arrayBuffer())
  return { mediaType: response.headers.get('content-type') ?? '', body }
}

/** The attached document belongs to an image that alice may pull. */
export const seeSbom = async (stack: QuayStack) => {
  const digest = stack.stock.sbom
  const manifest = { digest, ...(await pullByTag(stack, digest)) }
  stack.quay.tagMany(['ocp_4.5-sbom_latest'], { ...manifest, manifests: [manifest], blobs: new Map() })
  await pullByTag(stack, 'ocp_4.5-sbom_latest')
}

// The base64 of a secret depends on its offset in the text, and its ends mix with the characters around it.
const encodings = (secret: string) => [
  secret,
  ...[0, 1, 2].map((offset) =>
    Buffer.from('x'.repeat(offset) + secret)
      .toString('base64')
      .replace(/=+$/, '')
      .slice(4, -4),
  ),
]

/** The last test of every client: the proxy's requests to quay, its end, and its log. */
export const endStack = async (suite: Test, stack: Base) => {
  await suite.test('quay saw the robot, asking to pull from the one repository', async (t) => {
    const requests = stack.tokenRequests()
    t.not(requests.length, 0)
    for (const { username, scopes } of requests) {
      t.equal(username, robot.username)
      t.same(
        scopes.filter((scope) => scope !== `repository:${repository}:pull`),
        [],
      )
    }
  })

  await suite.test('SIGTERM ends it cleanly', async (t) => {
    const code = await stack.proxy.stop()
    if (code !== 0) t.comment(stack.proxy.output().slice(-2000))
    t.equal(code, 0)
  })

  await suite.test('its log holds no token and no password', async (t) => {
    const log = stack.proxy.output()
    t.not(log, '')
    for (const [owner, secret] of stack.secrets()) {
      const leaked = encodings(secret).some((text) => log.includes(text))
      t.notOk(leaked, `nothing of ${owner}`)
    }
  })
}
