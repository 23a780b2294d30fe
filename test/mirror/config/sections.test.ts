import t from 'tap'
import { parseMirrorConfig } from '../../../src/mirror/config/parse.ts'

const digest = `sha256:${'a'.repeat(64)}`

await t.test('the source of an image on app.ci is in QCI', async (t) => {
  const { config, problems } = parseMirrorConfig(`qciToAppCIImages:
  ocp/5.0:cli:
  ocp/5.0:a: {image: quay.io/openshift/ci:ocp_4.22_a}
  ocp/5.0:b: {image: "quay-proxy.ci.openshift.org/openshift/ci@${digest}"}
`)
  t.strictSame(problems, [])
  t.strictSame(
    config.appCi.map(({ source }) => source.tag ?? source.digest),
    ['ocp_5.0_cli', 'ocp_4.22_a', digest],
  )
})

await t.test('a wrong entry does not hide the others', async (t) => {
  const { config, problems } = parseMirrorConfig(`supplementalCIImages:
  wrong: {image: quay.io/a/b:c}
  a/b:c: {image: quay.io/a/b:c}
qciToAppCIImages:
  wrong: {}
  a/b:d: {image: quay.io/a/b:d}
  a/b:e: {image: "quay.io/a/b:"}
  a/b:f: {namespace: a}
ignoredSources:
  - image: quay.io/a/b:x
  - {}
artImages:
  - {namespace: ocp, name: ^a$, tag: ^b}
  - {namespace: ocp, name: "("}
  - {namespace: ocp, name: a, tag: "("}
  - {}
`)
  t.equal(config.supplemental.length, 1)
  t.equal(config.appCi.length, 1, 'that with the namespace: its source is known')
  t.equal(config.ignored.length, 1)
  t.equal(config.art.length, 1)
  t.strictSame(
    problems.map(({ severity, position, subject }) => `${severity} ${position.line} ${subject}`),
    [
      'error 2 supplementalCIImages[wrong]',
      'error 5 qciToAppCIImages[wrong]',
      'error 6 qciToAppCIImages[a/b:d]',
      'error 7 qciToAppCIImages[a/b:e]',
      'error 8 qciToAppCIImages[a/b:f]',
      'warning 10 ignoredSources[0]',
      'error 11 ignoredSources[1]',
      'warning 11 ignoredSources[1]',
      'error 14 artImages[1]',
      'error 15 artImages[2]',
      'error 16 artImages[3]',
      'error 16 artImages[3]',
    ],
  )
})

await t.test('image wins over an ImageStream', async (t) => {
  const { config, problems } = parseMirrorConfig(
    'supplementalCIImages:\n  a/b:c: {image: quay.io/a/b:c, namespace: x, name: p, tag: z}\n',
  )
  t.match(config.supplemental, [{ source: { kind: 'image' } }])
  t.match(problems, [{ severity: 'warning', message: /image wins/ }])
})

await t.test('an empty text counts as missing', async (t) => {
  const { config, problems } = parseMirrorConfig(`supplementalCIImages:
  a/b:c: {image: "", namespace: a, name: b, tag: c}
  a/b:d: {image: "", namespace: "", name: b, tag: d}
`)
  t.match(config.supplemental, [{ source: { kind: 'image-stream-tag' } }])
  t.match(problems, [
    { position: { line: 3 }, message: 'namespace for the source of supplementalCIImages[a/b:d] not set' },
  ])
})

await t.test('an image that is not a reference', async (t) => {
  const { problems } = parseMirrorConfig('supplementalCIImages:\n  a/b:c: {image: "quay.io/A/b:c"}\n')
  t.match(problems, [{ message: /^image "quay.io\/A\/b:c" has "A\/b" where a repository belongs$/ }])
})

await t.test('one sentence about one mistake', async (t) => {
  const { problems } = parseMirrorConfig(
    'supplementalCIImages:\n  a/b:c: {image: [x]}\n  a/b:d: {image: quay.io/a/b:d, as: x}\n',
  )
  t.strictSame(
    problems.map(({ message }) => message),
    [
      'supplementalCIImages[a/b:c] has a map or a list where text belongs',
      'supplementalCIImages[a/b:d] sets as',
    ],
  )
})
