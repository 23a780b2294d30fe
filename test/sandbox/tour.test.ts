import t from 'tap'
import { createLogger } from '../../src/telemetry/logging.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { showSandbox, startTour, verdictOf } from '../../src/sandbox/tour.ts'
import { projectDirectories } from './app-ci/project-manifests.ts'
import { ask } from './quay/quay-client.ts'

const logger = createLogger('silent')
const [rbac = '', examples = ''] = projectDirectories
const project = { logger, own: [rbac], rbac: [examples], as: [], port: 0 }

await t.test('who can log in, what to paste, and pulls that go as they have to', async (test) => {
  const lines: string[] = []
  const tour = await startTour({ ...project, print: (line) => void lines.push(line) })
  test.teardown(tour.close)
  test.equal(tour.succeeded, true)
  const text = lines.join('\n')
  test.match(text, `from ${rbac} and ${examples}`)
  test.match(
    text,
    /# somebody-of-qci-image-pullers, .*: every namespace that is not restricted\n {2}podman login --tls-verify=false -u somebody-of-qci-image-pullers -p sha256~\S+ 127\.0\.0\.1:\d+/,
  )
  test.match(text, '# mallory, a valid login in no group: nothing')
  test.match(text, /Identities in the RBAC: 2\./)
  test.match(text, /my-team:image-puller pulls my-team\/app:latest\n[\s\S]*every digest right/)
  test.match(text, /somebody-of-qci-image-pullers pulls ocp-priv\/4\.5:embargoed\n\n {2}403 DENIED/)
  test.match(text, /mallory pulls ocp\/4\.5:base\n\n {2}403 DENIED/)
  test.match(text, /\n {2}\d{14}_prune___ci_images_mirror__ocp-priv_/, 'every family of tags is there')
  test.notMatch(text, 'RBAC says that')
  test.notMatch(text, 'Left out of the RBAC')
  const [, url = ''] = /quay-proxy (\S+)/.exec(text) ?? []
  test.equal((await ask(`${url}/v2/`)).status, 401, 'it stays up')
})

await t.test('nothing is claimed that RBAC does not say, whatever it says', async (test) => {
  const binding = (namespace: string, group: string) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: group.replaceAll(':', '-'), namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: group }],
  })
  const named = {
    ...binding('ocp-priv', 'one-stream'),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'one' },
  }
  const one = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'one', namespace: 'ocp-priv' },
    rules: [
      {
        apiGroups: ['image.openshift.io'],
        resources: ['imagestreams/layers'],
        verbs: ['get'],
        resourceNames: ['4.5'],
      },
    ],
  }
  const everybody = binding('ocp', 'system:authenticated')
  const items = { everybody, team: binding('my-team', 'team'), named, one }
  const directory = test.testdir(
    Object.fromEntries(
      Object.entries(items).map(([name, object]) => [`${name}.json`, JSON.stringify(object)]),
    ),
  )
  const lines: string[] = []
  const tour = await startTour({ ...project, rbac: [directory], print: (line) => void lines.push(line) })
  test.teardown(tour.close)
  test.equal(tour.succeeded, true)
  const text = lines.join('\n')
  test.match(text, '# mallory, a valid login in no group: every namespace that is not restricted')
  test.match(text, /mallory pulls ocp\/4\.5:base\n\n {2}pulled/)
  test.match(
    text,
    /somebody-of-one-stream pulls ocp-priv\/4\.5:embargoed\n\n {2}pulled/,
    'one image stream of it',
  )
  test.notMatch(text, 'qci-image-pullers')
  test.notMatch(text, 'RBAC says that')
})

await t.test('a pull that goes otherwise than RBAC says is told', async (test) => {
  const sandbox = await startSandbox({ logger, rbac: projectDirectories, port: 0 })
  test.teardown(sandbox.close)
  const { kubernetes } = sandbox
  const contrary = {
    issueUserToken: (options: Parameters<typeof kubernetes.issueUserToken>[0]) =>
      kubernetes.issueUserToken(options),
    mayPull: (...asked: Parameters<typeof kubernetes.mayPull>) =>
      kubernetes.mayPull(...asked).map((may) => !may),
  } as unknown as typeof kubernetes
  const lines: string[] = []
  const shown = await showSandbox(
    { ...sandbox, kubernetes: contrary, skipped: Array.from({ length: 23 }, (_, index) => `thing ${index}`) },
    { ...project, as: ['group:qci-image-pullers'], print: (line) => void lines.push(line) },
  )
  test.equal(shown, false)
  test.ok(lines.includes('  RBAC says that this has to succeed'))
  test.ok(lines.includes('  RBAC says that this has to be refused'))
  test.match(lines.join('\n'), /Left out of the RBAC:\n\n {2}thing 0\n[\s\S]* {2}thing 19\n {2}and 3 more\n/)
})

await t.test('a tour that breaks off leaves nothing running', async (test) => {
  const urls: string[] = []
  const print = (line: string) => {
    urls.push(...(line.match(/http:\S+:\d+/g) ?? []))
    if (line.includes('  blob  ')) throw new Error('broken pipe')
  }
  await test.rejects(startTour({ ...project, print }), { message: 'broken pipe' })
  test.ok(urls.length >= 4)
  for (const url of urls) await test.rejects(ask(url))
})

await t.test('what a check says in the end', async (test) => {
  test.strictSame(verdictOf({ succeeded: true }), { text: 'All as it should be.', exitCode: 0 })
  test.match(verdictOf({ succeeded: false }), { text: /^Not as it should be/, exitCode: 1 })
})
