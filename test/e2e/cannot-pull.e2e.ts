/** All cases in which people cannot pull, with real clients: compares their output with docs/cannot-pull.md. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { isolatedPodman } from './podman.ts'
import { missing } from './process.ts'
import { isolatedSkopeo } from './skopeo.ts'
import { root, type Workplace } from './stack.ts'

const skip = missing('podman', 'skopeo')

const start = async (suite: Test, ...flags: string[]): Promise<Sandbox> => {
  const sandbox = await startSandbox({
    logger: createLogger('error', { write: () => undefined }),
    rbac: [join(root, 'manifests/rbac'), join(root, 'manifests/examples')],
    port: 0,
    flags: ['--grace-period=0s', ...flags],
  })
  suite.teardown(sandbox.close)
  return sandbox
}

type Run = () => Promise<string>

const base = 'ocp/4.5:base'
const unknown = `sha256:${'d'.repeat(64)}`

/** The failures of a cluster, of quay.io, and of others at the same address: on sandboxes of their own, because they outlast the case. */
const failuresOf = (
  flooded: Sandbox,
  failing: Sandbox,
  at: (sandbox: Sandbox) => Workplace,
): Readonly<Record<string, Run>> => {
  const pull = async (sandbox: Sandbox, password: string, image = base): Promise<string> => {
    const podman = await isolatedPodman(at(sandbox), 'pull')
    const { code, output } = await podman.pull(image, `--creds=user:${password}`)
    return code === 0 ? 'works' : output
  }
  const [alice, bob] = ['alice', 'bob'].map((username) =>
    failing.kubernetes.issueUserToken({ username, groups: ['qci-image-pullers'] }),
  ) as [string, string]
  return {
    'flood from one address': async () => {
      const login = (): Promise<Response> => {
        const authorization = `Bearer sha256~${randomBytes(22).toString('hex').slice(1)}`
        return fetch(`${flooded.url}/v2/`, { headers: { authorization } })
      }
      const ending = new AbortController()
      const others = Array.from({ length: 60 }, async () => {
        while (!ending.signal.aborted) await login()
      })
      await login()
      const seen = await pull(flooded, `sha256~${'x'.repeat(43)}`)
      ending.abort()
      await Promise.all(others)
      return seen
    },
    'quay.io unavailable': async () => {
      failing.quay.fault({ origin: 'quay', path: /manifests/, status: 503, count: Infinity })
      const seen = await pull(failing, alice)
      failing.quay.clearFaults()
      return seen
    },
    'API server unavailable, login of before': async () => {
      failing.kubernetes.fault({ kind: 'reset' })
      const seen = await pull(failing, alice, 'ocp-priv/4.5:embargoed')
      failing.kubernetes.fault({ kind: 'none' })
      return seen
    },
    'API server unavailable, first login': async () => {
      failing.kubernetes.fault({ kind: 'reset' })
      return await pull(failing, bob)
    },
  }
}

/** Each case of the document, and the code that produces the output of the client. */
const casesOf = (sandbox: Sandbox, other: Sandbox, stack: Workplace): Readonly<Record<string, Run>> => {
  const { kubernetes, url } = sandbox
  const { host } = stack
  const user = (more = {}) =>
    kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'], ...more })
  const account = (more = {}, cluster = kubernetes) =>
    cluster.issueServiceAccountToken({ namespace: 'my-team', name: 'image-puller', ...more })
  const [alice, puller] = [user(), account()]
  const mallory = kubernetes.issueUserToken({ username: 'mallory', groups: [] })
  const entry = (login: string, key = host) => ({ [key]: { auth: Buffer.from(login).toString('base64') } })
  const pull =
    (auths: object, image = base) =>
    async () => {
      const podman = await isolatedPodman(stack, 'pull', { auths })
      const { code, output } = await podman.pull(image)
      return code === 0 ? 'works' : output
    }
  const as = (login: string, image = base) => pull(entry(login), image)
  const byAlice = (image: string) => as(`alice:${alice}`, image)
  const fetched = (path: string, headers: Readonly<Record<string, string>>) => async () =>
    await (await fetch(`${url}${path}`, { headers })).text()
  return {
    'no login': pull({}),
    'expired token, `podman login`': async () => {
      const podman = await isolatedPodman(stack, 'login')
      return (await podman.login('alice', user({ expiresInSeconds: -10 }))).output
    },
    'expired token, pull': as(`alice:${user({ expiresInSeconds: -10 })}`),
    'token of another cluster': as(
      `alice:${other.kubernetes.issueUserToken({ username: 'alice', groups: [] })}`,
    ),
    'service account, expired token': as(`a:${account({ expiresInSeconds: -10 })}`),
    'service account, wrong audience': as(`a:${account({ audiences: ['vault'] })}`),
    'service account of another cluster': as(`a:${account({}, other.kubernetes)}`),
    'token with scopes': as(`alice:${user({ scopes: ['user:info'] })}`),
    'no access, person': as(`mallory:${mallory}`),
    'no access, service account': as(`a:${puller}`),
    'restricted namespace': byAlice('ocp-priv/4.5:embargoed'),
    'typing error in the tag': byAlice('ocp/4.5:bsae'),
    'typing error in the namespace': byAlice('opc/4.5:base'),
    'the same, service account': as(`a:${puller}`, 'my-taem/app:latest'),
    'no tag': byAlice('ocp/4.5'),
    'dashes instead of underscores': byAlice('openshift/ci:ocp-4.5-base'),
    'QCI tag in the image stream form': byAlice('ocp/4.5:ocp_4.5_base'),
    '`registry.ci.openshift.org` behind the host': byAlice('registry.ci.openshift.org/ocp/4.5:base'),
    '`quay.io/openshift/ci` behind the host': byAlice('quay.io/openshift/ci:ocp_4.5_base'),
    'three components': byAlice('ocp/4.5/base'),
    'one component': byAlice('ocp_4.5_base'),
    'underscore in the namespace': byAlice('ocp_4.5/base'),
    'upper case in the repository': byAlice('OCP/4.5:base'),
    'upper case in the tag': byAlice('ocp/4.5:Base'),
    'a slash in the tag, a short digest, two colons': byAlice('ocp/4.5@sha256:abc'),
    'unknown digest': byAlice(`ocp/4.5@${unknown}`),
    'digest without access': as(`mallory:${mallory}`, `ocp/4.5@${unknown}`),
    'every form of a user name': async () => {
      const names = ['kube:admin', 'system:serviceaccount:a:b', '<token>', 'alice@example.org', '\u00e4']
      for (const name of names) {
        const seen = await as(`${name}:${alice}`)()
        if (seen !== 'works') return seen
      }
      return 'works'
    },
    '`identitytoken` with a user': pull({
      [host]: { ...entry('alice:')[host], identitytoken: alice },
    }),
    '`identitytoken` alone': pull({ [host]: { identitytoken: alice } }),
    'line end behind the token': as(`alice:${alice}\r\n`),
    'base64 of the token': as(`alice:${Buffer.from(alice).toString('base64')}`),
    '`Bearer` before the token': as(`alice:Bearer ${alice}`),
    'quotes around the token': as(`alice:"${alice}"`),
    '`sha256~` cut off': as(`alice:${alice.slice('sha256~'.length)}`),
    '`$(oc whoami -t)` that no shell ran': as('alice:$(oc whoami -t)'),
    'an error message as the token': as('alice:error: no token is currently in use'),
    "one's own password": as('alice:hunter2'),
    'user and token exchanged': as(`${alice}:alice`),
    'empty password': fetched('/v2/', {
      authorization: `Basic ${Buffer.from('alice:').toString('base64')}`,
    }),
    'outdated entry for a namespace': pull({
      ...entry(`alice:${alice}`),
      ...entry(`mallory:${mallory}`, `${host}/ocp`),
    }),
    'robot, wrong password': as('openshift+ci_readonly:wrong'),
    push: async () => {
      const pulled = await isolatedPodman(stack, 'push', { auths: entry(`alice:${alice}`) })
      await pulled.pull(base)
      return (await pulled.push(base)).output
    },
    'list of tags without access': async () => {
      const skopeo = isolatedSkopeo(stack)
      const creds = ['--tls-verify=false', '--creds', `mallory:${mallory}`]
      return (await skopeo('list-tags', ...creds, `docker://${host}/ocp/4.5`)).output
    },
    search: fetched('/v2/_catalog', { authorization: `Bearer ${alice}` }),
    'a browser': fetched('/', { accept: 'text/html' }),
  }
}

interface Row {
  readonly name: string
  readonly before: string
  readonly words: string
  readonly now: string
}

const readRows = async (): Promise<readonly Row[]> => {
  const text = await readFile(join(root, 'docs/cannot-pull.md'), 'utf8')
  return [...text.matchAll(/^\| (.+?) +\| .+? +\| ([A-F-]) +\| `(.+?)` +\| ([A-F-]) +\|$/gm)].map(
    ([, name = '', before = '', words = '', now = '']) => ({ name, before, words, now }),
  )
}

await test('everybody who cannot pull', { skip }, async (suite) => {
  const [sandbox, other, failing] = await Promise.all([
    start(suite),
    start(suite),
    start(suite, '--retry-timeout=1s'),
  ])
  const directory = await mkdtemp(join(tmpdir(), 'qp-'))
  suite.teardown(async () => await rm(directory, { recursive: true, force: true }))
  const at = ({ url }: Sandbox): Workplace => ({
    host: new URL(url).host,
    directory,
    scratch: async (name) => await mkdtemp(join(directory, name)),
    defer: (dispose) => suite.teardown(dispose),
  })
  const cases = { ...casesOf(sandbox, other, at(sandbox)), ...failuresOf(other, failing, at) }
  const hosts = [sandbox, other, failing].map((each) => at(each).host)
  const rows = await readRows()
  suite.strictSame(rows.map(({ name }) => name).toSorted(), Object.keys(cases).toSorted())
  for (const { name, before, words, now } of rows) {
    if ('DF'.includes(before)) suite.match(now, /[AB]/, `${name}: better`)
    const run = cases[name]
    if (run === undefined) continue
    await suite.test(name, async (t) => {
      const seen = hosts
        .reduce((text, host) => text.replaceAll(host, 'HOST'), await run())
        .replaceAll(unknown, 'sha256:...')
        .replaceAll(/\d{4}-\d\d-\d\dT[\d:]+Z/g, '...')
        .replaceAll(String.raw`\"`, '"')
      t.ok(seen.includes(words), seen)
    })
  }
})
