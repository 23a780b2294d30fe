import { relative } from 'node:path'
import t from 'tap'
import { createLogger } from '../../src/telemetry/logging.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { showSandbox, startTour, verdictOf } from '../../src/sandbox/tour.ts'
import { projectDirectories } from './app-ci/project-manifests.ts'
import { ask } from './quay/quay-client.ts'
import { ownTemporaryFolder } from './temporary-folder.ts'

const logger = createLogger('silent')
const [rbac = '', examples = ''] = projectDirectories
const { signal } = new AbortController()
const project = { logger, own: [rbac], rbac: [examples], as: [], port: 0, verbose: false, signal }

await t.test('pulls that end as RBAC says come first, the commands to paste last', async (test) => {
  const lines: string[] = []
  const tour = await startTour({ ...project, print: (line) => void lines.push(line) })
  test.teardown(tour.close)
  test.equal(tour.succeeded, true)
  const text = lines.join('\n')
  const [pulls = '', commands = ''] = text.split('\nCommands to try it.')
  test.match(pulls, `from ${relative('', rbac)} and ${relative('', examples)}`)
  test.match(pulls, /Identities in the RBAC: 2\./)
  test.match(
    pulls,
    /my-team:image-puller, a service account, pulls\n.*\n {2}my-team\/app:latest .*every digest right/,
  )
  test.match(
    pulls,
    /somebody-of-qci-image-pullers, .*, pulls\n.*\n.*\n {2}ocp-priv\/4\.5:embargoed +refused, as it/,
  )
  test.match(pulls, /mallory, .*, pulls\n {2}ocp\/4\.5:base +refused, as it should be/)
  test.notMatch(pulls, 'podman')
  test.match(
    commands,
    /# somebody-of-qci-image-pullers, .*: every namespace that is not restricted\n {2}podman login --tls-verify=false -u somebody-of-qci-image-pullers -p sha256~\S+ 127\.0\.0\.1:\d+/,
  )
  test.match(commands, '# mallory, a valid login in no group: nothing')
  test.match(pulls, /The mirror copies .*\n {2}ocp\/ubi:9 +pulled: 2 platforms/)
  test.match(commands, /\n {2}curl -u x:sha256~\S+ http:\S+\/mirrors\/ocp\/ubi:9$/)
  test.notMatch(text, 'RBAC says that')
  test.notMatch(text, 'Left out of the RBAC')
  test.notMatch(text, /sha256:|DENIED|_prune_/, 'the details are for --verbose')
  const [, url = ''] = /quay-proxy +(\S+)/.exec(text) ?? []
  test.equal((await ask(`${url}/v2/`)).status, 401, 'it stays up')
})

await t.test('--verbose prints digests, refusals and tags', async (test) => {
  const lines: string[] = []
  const tour = await startTour({ ...project, verbose: true, print: (line) => void lines.push(line) })
  test.teardown(tour.close)
  const text = lines.join('\n')
  test.match(text, /\n {2}\d{14}_prune___ci_images_mirror__ocp-priv_/, 'every family of tags is there')
  test.match(text, /ocp\/4\.5:base .*\n {6}sha256:[0-9a-f]{64} for linux\/amd64, .*\n {6}manifest {2}sha256:/)
  test.match(text, /\n {6}403 DENIED/)
})

await t.test('the tour claims only what RBAC grants', async (test) => {
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
  test.match(text, /mallory, .*, pulls\n {2}ocp\/4\.5:base +pulled/)
  test.match(
    text,
    /somebody-of-one-stream, .*, pulls\n.*\n.*\n {2}ocp-priv\/4\.5:embargoed +pulled/,
    'one image stream of it',
  )
  test.notMatch(text, 'qci-image-pullers')
  test.notMatch(text, 'RBAC says that')
})

await t.test('a pull with another result than RBAC is reported', async (test) => {
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
    { ...project, verbose: true, as: ['group:qci-image-pullers'], print: (line) => void lines.push(line) },
  )
  test.equal(shown, false)
  test.ok(lines.includes('      RBAC says that this has to succeed'))
  test.ok(lines.includes('      RBAC says that this has to be refused'))
  test.match(lines.join('\n'), /Left out of the RBAC:\n\n {2}thing 0\n[\s\S]* {2}thing 19\n {2}and 3 more\n/)
})

await t.test('a tour that breaks off leaves nothing running', async (test) => {
  const urls: string[] = []
  const print = (line: string) => {
    urls.push(...(line.match(/http:\S+:\d+/g) ?? []))
    if (line.includes('  blob  ')) throw new Error('broken pipe')
  }
  await test.rejects(startTour({ ...project, verbose: true, print }), { message: 'broken pipe' })
  test.ok(urls.length >= 4)
  for (const url of urls) await test.rejects(ask(url))
})

await t.test('the last line of a check', async (test) => {
  test.strictSame(verdictOf({ succeeded: true }), { text: 'All as it should be.', exitCode: 0 })
  test.match(verdictOf({ succeeded: false }), { text: /^Not as it should be/, exitCode: 1 })
})

await t.test(
  'a tour that is ended before it begins, or between two pulls, leaves nothing behind',
  async (test) => {
    const leftBehind = ownTemporaryFolder(test)
    for (const word of ['', 'quay-proxy ', ':base']) {
      const ending = new AbortController()
      if (word === '') ending.abort()
      const print = (line: string) => {
        if (line.includes(word)) ending.abort()
      }
      await test.rejects(startTour({ ...project, print, signal: ending.signal }), { name: 'AbortError' })
    }
    test.strictSame(leftBehind(), [])
  },
)
