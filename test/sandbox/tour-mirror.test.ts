import t from 'tap'
import type { Person } from '../../src/sandbox/people.ts'
import { mirroredImage } from '../../src/sandbox/mirror/mirror.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { mirrorCommand, showMirrored } from '../../src/sandbox/tour-mirror.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { projectDirectories as rbac } from './app-ci/project-manifests.ts'

const { signal } = new AbortController()

await t.test('the image arrives and is pulled by somebody who may', async (test) => {
  const sandbox = await startSandbox({ logger: createLogger('silent'), rbac, port: 0, mirror: true })
  test.teardown(sandbox.close)
  const { kubernetes, mirror, url } = sandbox
  const person = (username: string, groups: readonly string[]): Person => ({
    username,
    token: kubernetes.issueUserToken({ username, groups }),
    who: '',
    reach: { isQciWide: false, namespaces: [] },
  })
  const people = [person('mallory', []), person('alice', ['qci-image-pullers'])]
  const lines: string[] = []
  const options = { people, print: (line: string) => void lines.push(line), verbose: false, signal }
  const source = { url, kubernetes, mirror: mirror! }
  test.equal(await showMirrored(source, options), true)
  test.match(lines[0], 'The mirror copies registry.access.redhat.com/ubi9/ubi:latest to ocp/ubi:9')
  test.match(lines[1], /ocp\/ubi:9 +pulled: 2 platforms, .*every digest right/)
  test.equal(await showMirrored(source, { ...options, people: people.slice(0, 1) }), true)
  test.equal(lines.at(-1), '  it has arrived; nobody here may pull it')
  const dead = { ...mirror!, arrived: async () => 'dead' }
  test.equal(await showMirrored({ ...source, mirror: dead }, options), false)
  test.equal(lines.at(-1), '  it has not arrived: dead')
  const [, about, command = ''] = await mirrorCommand(sandbox, people)
  test.match(about, 'for alice')
  const [, user = '', page = ''] = /^ {2}curl -u (\S+) (\S+)$/.exec(command) ?? []
  const authorization = `Basic ${Buffer.from(user).toString('base64')}`
  const answer = await fetch(page, { headers: { authorization } })
  test.match(await answer.json(), { target: mirroredImage.target, state: 'same' })
  test.strictSame(await mirrorCommand(sandbox, people.slice(0, 1)), [])
})
