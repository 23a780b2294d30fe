import { resolve } from 'node:path'
import t from 'tap'
import { createLogger } from '../../src/logging.ts'
import { startTour } from '../../src/sandbox/tour.ts'
import { ask } from './quay/quay-client.ts'

const logger = createLogger('silent')
const manifests = (folder: string) => resolve(import.meta.dirname, '../../manifests', folder)
const all = [manifests('rbac'), manifests('examples')]

await t.test('who can log in, what to paste, and pulls that go as they have to', async (test) => {
  const lines: string[] = []
  const tour = await startTour({ logger, rbac: all, port: 0, print: (line) => void lines.push(line) })
  test.teardown(tour.close)
  test.equal(tour.succeeded, true)
  const text = lines.join('\n')
  test.match(text, /podman login --tls-verify=false -u alice -p sha256~\S+ 127\.0\.0\.1:\d+/)
  test.match(text, /my-team:image-puller pulls my-team\/app:latest\n[\s\S]*every digest right/)
  test.match(text, /alice pulls ocp-priv\/4\.5:embargoed\n\n {2}403 DENIED/)
  test.match(text, /mallory pulls openshift\/ci:ocp_4\.5_base\n\n {2}403 DENIED/)
  test.notMatch(text, 'this had to')
  const [, url = ''] = /quay-proxy (\S+)/.exec(text) ?? []
  test.equal((await ask(`${url}/v2/`)).status, 401, 'it stays up')
})

await t.test('RBAC under which a pull goes wrong', async (test) => {
  const lines: string[] = []
  const tour = await startTour({
    logger,
    rbac: [manifests('rbac')],
    port: 0,
    print: (line) => void lines.push(line),
  })
  test.teardown(tour.close)
  test.equal(tour.succeeded, false)
  test.match(lines, [/./])
  test.ok(lines.includes('  this had to succeed'))
})

await t.test('RBAC that opens what has to stay shut', async (test) => {
  const everybody = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'everybody', namespace: 'ocp' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'qci-image-puller' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:authenticated' }],
  }
  const rbac = [...all, test.testdir({ 'everybody.json': JSON.stringify(everybody) })]
  const lines: string[] = []
  const tour = await startTour({ logger, rbac, port: 0, print: (line) => void lines.push(line) })
  test.teardown(tour.close)
  test.equal(tour.succeeded, false)
  test.ok(lines.includes('  this had to be refused'))
})

await t.test('a tour that breaks off leaves nothing running', async (test) => {
  const urls: string[] = []
  const print = (line: string) => {
    urls.push(...(line.match(/http:\S+:\d+/g) ?? []))
    if (line.includes('  blob  ')) throw new Error('broken pipe')
  }
  await test.rejects(startTour({ logger, rbac: all, port: 0, print }), { message: 'broken pipe' })
  test.ok(urls.length >= 4)
  for (const url of urls) await test.rejects(ask(url))
})
