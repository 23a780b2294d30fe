import t from 'tap'
import {
  dockerHub,
  formatReference,
  parseImageReference,
  versionOf,
} from '../../../src/mirror/names/image-reference.ts'

const digest = `sha256:${'a'.repeat(64)}`

const parsed = (text: string) => {
  const reference = parseImageReference(text)
  if (typeof reference === 'string') throw new Error(`${text} ${reference}`)
  return reference
}

await t.test('a reference has a host, a repository, and a tag or a digest', async (t) => {
  t.strictSame(parsed('quay.io/openshift/ci:a_b_c'), {
    registry: 'quay.io',
    repository: 'openshift/ci',
    tag: 'a_b_c',
    digest: undefined,
  })
  t.strictSame(parsed(`localhost:5000/a@${digest}`), {
    registry: 'localhost:5000',
    repository: 'a',
    tag: undefined,
    digest,
  })
  t.equal(parsed('quay.io/a/b').tag, 'latest')
  t.equal(parsed('[::1]:5000/a/b:c').registry, '[::1]:5000')
  t.equal(parsed('QUAY.IO:443/a/b:c').registry, 'quay.io')
  t.equal(parsed('quay.io./a/b:c').registry, 'quay.io')
  t.equal(parsed('quay.io:0443/a/b:c').registry, 'quay.io')
  t.equal(parsed('127.1:05000/a/b:c').registry, '127.0.0.1:5000')
  t.equal(parsed('quay.io.:8443/a/b:c').registry, 'quay.io:8443')
})

await t.test('the text, and the reference of requests', async (t) => {
  for (const text of ['quay.io/a/b:c', `quay.io/a/b@${digest}`, `quay.io/a/b:c@${digest}`])
    t.equal(formatReference(parsed(text)), text)
  t.equal(versionOf(parsed('quay.io/a/b:c')), 'c')
  t.equal(versionOf(parsed(`quay.io/a/b:c@${digest}`)), digest)
})

await t.test('Docker Hub in every spelling', async (t) => {
  for (const text of [
    'fedora',
    'fedora:40',
    'library/fedora',
    'docker.io/fedora',
    'Docker.IO/library/fedora',
    'docker.io:443/fedora',
    'docker.io./library/fedora',
    'index.docker.io/library/fedora',
    'registry-1.docker.io/library/fedora',
    'registry.hub.docker.com/library/fedora:40',
    'hub.docker.com/library/fedora',
    'docker.io:0443/fedora',
    'registry.docker.com./library/fedora',
    'www.docker.io:8443/library/fedora',
  ]) {
    t.equal(parsed(text).registry, dockerHub, text)
    t.equal(parsed(text).repository, 'library/fedora', text)
  }
  t.equal(parsed('grafana/k6:1').repository, 'grafana/k6')
  t.equal(parsed('docker.io.example.org/a/b').registry, 'docker.io.example.org')
})

await t.test('a text that is not a reference gives the reason', async (t) => {
  for (const [text, why] of [
    ['quay.io/a/b@sha256:abc', 'where a digest belongs'],
    [`quay.io/a/b@${digest}@${digest}`, 'more than one "@"'],
    ['https://quay.io/a/b:c', 'begins with a scheme'],
    ['quay.io/a/b:.c', 'where a tag belongs'],
    ['quay.io/a/B:c', 'where a repository belongs'],
    ['quay.io//a:c', 'where a repository belongs'],
    ['', 'where a repository belongs'],
    [`quay.io/${'a/'.repeat(130)}a:c`, 'where a repository belongs'],
    ['qu ay.io/a/b:c', 'where a host belongs'],
    ['-quay.io/a/b:c', 'where a host belongs'],
    ['quay.io#x/a/b:c', 'where a host belongs'],
    ['qua%79.io/a/b:c', 'where a host belongs'],
    // No request can be sent to these.
    ['quay.io:99999/a/b:c', 'where a host belongs'],
    ['[1:2]/a/b:c', 'where a host belongs'],
    ['256.1.1.1/a/b:c', 'where a host belongs'],
    ['a.0x/b:c', 'where a host belongs'],
  ] as const) {
    const result = parseImageReference(text)
    t.type(result, 'string', text)
    t.match(result, why, text)
  }
})
