import t from 'tap'
import { pastedImage } from '../../src/explain/pasted-image.ts'

const hex = 'ab12'.repeat(16)
const image = 'ocp/4.5:base'

await t.test('generated: what stands around an image is left out', (test) => {
  const around = ['', ' ', '\n', '"', "'", '`', '\u201c', '\u200f', '\ufeff', '(', '<']
  const behind = ['', ' ', '\r\n', '"', "'", '`', '\u201d', '\u200e', ')', '>', ',', ';', '",', ' \\']
  const before = ['', 'podman pull ', 'FROM ', 'image: ', '- image: ', '$ oc image info -a auth.json ']
  for (const word of before)
    for (const [start, end] of around.flatMap((one) => behind.map((other) => [one, other] as const)))
      test.equal(pastedImage(`${word}${start}${image}${end}`), image, JSON.stringify([word, start, end]))
  test.end()
})

await t.test('other spellings of an image', (test) => {
  for (const [text, expected] of [
    ['docker://a.b/ocp/4.5:base', 'a.b/ocp/4.5:base'],
    ['HTTPS://a.b/ocp/4.5:base', 'a.b/ocp/4.5:base'],
    ['ocp%2F4.5%3Abase', image],
    ['a.b//ocp//4.5:base', 'a.b/ocp/4.5:base'],
    ['[::1]:8400/ocp/4.5:base', '[::1]:8400/ocp/4.5:base'],
    ['[ocp/4.5:base]', image],
    [`istag/${image}`, image],
    [`imagestreamtag.image.openshift.io/${image}`, image],
    ['is/app:a', 'is/app:a'],
    [hex.toUpperCase(), `sha256:${hex}`],
    [`@sha256:${hex}`, `sha256:${hex}`],
    [`OCP/4.5@SHA256:${hex.toUpperCase()}`, `OCP/4.5@sha256:${hex}`],
    ['https://quay.io/repository/openshift/ci', 'quay.io/openshift/ci'],
    [
      'https://quay.io/repository/openshift/ci?tab=tags&tag=ocp_4.5_base#x',
      'quay.io/openshift/ci:ocp_4.5_base',
    ],
    ['https://quay.io/repository/openshift/ci?tag=a', 'quay.io/openshift/ci:a'],
    [`https://quay.io/repository/openshift/ci/manifest/sha256:${hex}`, `quay.io/openshift/ci@sha256:${hex}`],
  ] as const)
    test.equal(pastedImage(text), expected, text)
  test.end()
})

await t.test('a text that is not clear is not changed', (test) => {
  for (const text of [
    '',
    'ocp/4.5 base',
    'a/b:c d/e:f',
    `${image}\nocp/4.5:cli`,
    '100%',
    'oc get is 4.5 -n ocp',
  ])
    test.equal(pastedImage(text), text)
  test.end()
})
