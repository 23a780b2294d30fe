import t from 'tap'
import type { Test } from 'tap'
import { createLogger } from '../../src/telemetry/logging.ts'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { showPulls } from '../../src/sandbox/tour-pulls.ts'
import { projectDirectories } from './app-ci/project-manifests.ts'

const start = async (test: Test) => {
  const sandbox = await startSandbox({ logger: createLogger('silent'), rbac: projectDirectories, port: 0 })
  test.teardown(sandbox.close)
  const groups = ['qci-image-pullers']
  const token = sandbox.kubernetes.issueUserToken({ username: 'alice', groups })
  const lines: string[] = []
  return {
    sandbox,
    lines,
    options: {
      people: [
        { username: 'alice', who: 'of the group a', token, reach: { isQciWide: true, namespaces: [] } },
      ],
      print: (line: string) => void lines.push(line),
      verbose: false,
      signal: new AbortController().signal,
    },
  }
}

await t.test('one line for each pull', async (test) => {
  const { sandbox, lines, options } = await start(test)
  test.equal(await showPulls(sandbox, options), true)
  test.match(lines, [
    '\nalice, of the group a, pulls',
    /^ {2}ocp\/4\.5:base {12}pulled: 4 platforms, \d+ blobs, \d+ bytes, every digest right$/,
    /^ {2}my-team\/app:latest {6}pulled: \d platforms, \d+ blobs, \d+ bytes, every digest right$/,
    /^ {2}ocp-priv\/4\.5:embargoed {2}refused, as it should be$/,
  ])
  test.equal(lines.length, 4)
})

await t.test(
  'a pull that does not end as RBAC says is reported, with the words of the proxy',
  async (test) => {
    const { sandbox, lines, options } = await start(test)
    const contrary = { mayPull: (_: string, asked: readonly object[]) => asked.map(() => true) }
    const kubernetes = contrary as unknown as typeof sandbox.kubernetes
    test.equal(await showPulls({ url: sandbox.url, kubernetes }, options), false)
    const [, denied = '', remark] = lines.slice(-3)
    test.equal(lines.at(-3), '  ocp-priv/4.5:embargoed  refused')
    test.match(denied, /^ {6}403 DENIED: /)
    test.equal(remark, '      RBAC says that this has to succeed')
    contrary.mayPull = (_, asked) => asked.map(() => false)
    test.equal(await showPulls({ url: sandbox.url, kubernetes }, options), false)
    test.ok(lines.includes('      RBAC says that this has to be refused'))
  },
)

await t.test('an error that is no answer of the proxy ends the tour', async (test) => {
  const { sandbox, options } = await start(test)
  await test.rejects(showPulls({ ...sandbox, url: 'http://127.0.0.1:1' }, options), {
    message: 'fetch failed',
  })
})
