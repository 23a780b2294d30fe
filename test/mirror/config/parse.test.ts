import t from 'tap'
import { parseMirrorConfig } from '../../../src/mirror/config/parse.ts'

const text = `supplementalCIImages:
  ocp/ubi:9: # a floating source
    image: registry.access.redhat.com/ubi9/ubi:latest
  coreos/rhel-coreos-base:9.6:
    namespace: coreos
    name: rhel-coreos-base
    tag: "9.6"
qciToAppCIImages:
  ocp/5.0:cli: {}
ignoredSources:
  - image: quay.io/fedora/fedora:latest
    reason: broken image
artImages:
  - namespace: openshift
    name: ^release$
`

await t.test('each section of a configuration', async (t) => {
  const { config, problems } = parseMirrorConfig(text)
  t.strictSame(problems, [])
  t.match(config, {
    supplemental: [
      {
        subject: 'supplementalCIImages[ocp/ubi:9]',
        position: { line: 2, column: 3 },
        target: { namespace: 'ocp', name: 'ubi', tag: '9' },
        source: { kind: 'image', image: { registry: 'registry.access.redhat.com' } },
      },
      {
        position: { line: 4, column: 3 },
        source: {
          kind: 'image-stream-tag',
          imageStreamTag: { namespace: 'coreos', name: 'rhel-coreos-base', tag: '9.6' },
        },
      },
    ],
    appCi: [{ source: { registry: 'quay-proxy.ci.openshift.org', tag: 'ocp_5.0_cli' } }],
    ignored: [{ source: { image: { repository: 'fedora/fedora' } }, reason: 'broken image' }],
    art: [{ namespace: 'openshift', name: { text: '^release$' }, tag: undefined }],
  })
})

await t.test('a file without a section', async (t) => {
  const nothing = { supplemental: [], appCi: [], ignored: [], art: [] }
  for (const empty of ['', '\n# nothing\n', '---\n']) {
    const { config, problems } = parseMirrorConfig(empty)
    t.strictSame(config, nothing)
    // In the place of a good file, it would be one of which nothing is copied any more.
    t.match(problems, [{ severity: 'error', message: 'the file is empty' }], empty)
  }
  t.strictSame(parseMirrorConfig('{}'), { config: nothing, problems: [] })
})

await t.test('nothing is read from a file that is not YAML', async (t) => {
  const { config, problems } = parseMirrorConfig('supplementalCIImages:\n\ta/b:c: {image: fedora}\n')
  t.strictSame(config.supplemental, [])
  t.match(problems, [{ position: { line: 2, column: 1 }, message: /a tab/, cure: 'indent with spaces' }])
  t.equal(problems.length, 1)
})
