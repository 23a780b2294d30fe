import { gzipSync } from 'node:zlib'
import t from 'tap'
import { decodeConfig, parseMirrorConfig } from '../../../src/mirror/config/parse.ts'

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

await t.test('an empty file has no entries', async (t) => {
  t.strictSame(parseMirrorConfig(''), {
    config: { supplemental: [], appCi: [], ignored: [], art: [] },
    problems: [],
  })
})

await t.test('gzip is unpacked', async (t) => {
  t.equal(decodeConfig(Buffer.from(text)), text)
  t.equal(decodeConfig(gzipSync(text)), text)
})

await t.test('attack: gzip that unpacks to more than is read', async (t) => {
  t.throws(() => decodeConfig(gzipSync(Buffer.alloc(17 * 1024 * 1024))))
})
