import t from 'tap'
import { credentialFor, parseDockerConfig } from '../../src/secrets/docker-config.ts'
import { everythingIn } from '../upstream/upstream.ts'
import { thrown } from '../support/thrown.ts'

const quay = new URL('https://quay.io')
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const configOf = (auths: unknown): string[] => [JSON.stringify({ auths })]
const parse = (auths: unknown, upstream = quay) => {
  const [robot, ...more] = parseDockerConfig(upstream, 'openshift/ci')(configOf(auths))
  if (robot === undefined || more.length > 0) throw new Error('a pull secret is of one robot')
  return robot
}

await t.test('trap 1: the password starts at the first colon and may hold more', async (test) => {
  test.strictSame(parse({ 'quay.io': { auth: base64('openshift+ci:a:b:') } }), {
    username: 'openshift+ci',
    password: 'a:b:',
  })
})

await t.test('blanks around either half of an auth are removed', async (test) => {
  for (const blank of ['\ufeff', '\r\n', '\0', '\u200e', '\u00ad', '\u{e0020}'])
    for (const text of [`${blank}r${blank}:p`, `r:${blank}p${blank}`, `r${blank}:${blank}p`]) {
      const auth = base64(text)
      for (const written of [auth, `${auth}${blank}`, `${auth.slice(0, 2)}${blank}${auth.slice(2)}`])
        test.strictSame(parse({ 'quay.io': { auth: written } }), { username: 'r', password: 'p' })
    }
})

await t.test('a user name and a password in plain text are read', async (test) => {
  test.strictSame(parse({ 'quay.io': { username: 'a', password: 'b' } }), { username: 'a', password: 'b' })
})

await t.test('the most specific entry is used, and never one of another host', async (test) => {
  const entry = (username: string) => ({ auth: base64(`${username}:p`) })
  const auths = {
    'quay.io/openshift/ci': entry('repository'),
    'quay.io/openshift': entry('namespace'),
    'quay.io': entry('host'),
    'https://quay.io': entry('origin'),
    'quay.io.example.com': entry('stranger'),
  }
  const left = Object.entries(auths)
  for (const username of ['repository', 'namespace', 'host', 'origin']) {
    test.equal(parse(Object.fromEntries(left)).username, username)
    left.shift()
  }
  test.match(thrown(() => parse(Object.fromEntries(left))).message, /no entry for quay\.io$/)
  test.match(
    thrown(() => parse(auths, new URL('https://quay.io:8443'))).message,
    /no entry for quay\.io:8443$/,
  )
  const named = parseDockerConfig(quay, '')
  test.match(named(configOf({ 'quay.io': entry('host') })), [{ username: 'host' }])
})

await t.test('a property of the prototype is not an entry', async (test) => {
  const prototype = parseDockerConfig(new URL('http://constructor'), 'openshift/ci')
  test.match(thrown(() => prototype(configOf({}))).message, /no entry for constructor/)
})

await t.test(
  'an entry without both halves is refused, and the error does not hold the half',
  async (test) => {
    const entries = [
      { auth: base64('hunter2') },
      { auth: base64(':hunter2') },
      { auth: base64('hunter2:') },
      { auth: '' },
      { username: 'hunter2' },
      { password: 'hunter2' },
      { username: '', password: 'hunter2' },
      { username: 'a:b', password: 'hunter2' },
      { username: ' \0', password: 'hunter2' },
      { username: ['hunter2'], password: { hunter2: 1 } },
      { auth: 'robot:hunter2' },
      { auth: `${base64('robot:hunter2')}?` },
      { auth: base64('hunter2'), username: 'a', password: 'hunter2' },
      {},
      null,
      'hunter2',
    ]
    for (const entry of entries) {
      const error = thrown(() => parse({ 'quay.io': entry }))
      test.match(error.message, /^the entry quay\.io of the dockerconfigjson holds no user name and password/)
      test.notMatch(everythingIn(error), /hunter2/, JSON.stringify(entry))
    }
  },
)

await t.test(
  'a text that is not a dockerconfigjson is refused, and the error does not hold the text',
  async (test) => {
    const read = parseDockerConfig(quay, 'openshift/ci')
    for (const content of ['{"auths": hunter2', 'hunter2', '']) {
      const error = thrown(() => read([content]))
      test.equal(error.message, 'the dockerconfigjson is not valid JSON')
      test.notMatch(everythingIn(error), /hunter2/)
    }
    test.match(thrown(() => read([])).message, /not valid JSON/)
    for (const content of ['1', 'null', '{}', '{"auths":null}', '{"auths":"hunter2"}'])
      test.equal(thrown(() => read([content])).message, 'the dockerconfigjson holds no "auths"', content)
  },
)

await t.test('an empty auth next to user name and password is ignored', async (test) => {
  const content = JSON.stringify({
    auths: { 'quay.io': { auth: '', username: 'robot', password: 'secret' } },
  })
  const parse = parseDockerConfig(new URL('https://quay.io'), 'openshift/ci')
  test.same(parse([content]), [{ username: 'robot', password: 'secret' }])
})

await t.test('trap 1: auth as echo, editors and tools write it', async (test) => {
  const around = ['', ' ', '\n', '\r\n', '\0', '\0\0\0', '\t', '\uFEFF']
  const expected = { username: 'openshift+ci', password: 'a:b' }
  for (const before of around)
    for (const after of around) {
      const auth = base64(`${before}openshift+ci:a:b${after}`)
      const spellings = [
        auth,
        auth.replace(/=+$/, ''),
        `${before}${auth}${after}`,
        `${auth.slice(0, 9)}\n${auth.slice(9)}`,
        auth.replaceAll('+', '-').replaceAll('/', '_'),
      ]
      for (const spelling of spellings)
        test.strictSame(parse({ 'quay.io': { auth: spelling } }), expected, JSON.stringify(spelling))
      const [username, password] = [`${before}openshift+ci${after}`, `${before}a:b${after}`]
      test.strictSame(parse({ 'quay.io': { username, password } }), expected)
      test.strictSame(
        parse({ 'quay.io': { auth, username: 'other', password: 'other' } }),
        expected,
        'auth counts',
      )
      const content = `${before}${JSON.stringify({ auths: { 'quay.io': { auth } } })}${after}`
      test.strictSame(parseDockerConfig(quay, 'openshift/ci')([content]), [expected])
    }
})

await t.test('a token of an identity provider is refused by its name', async (test) => {
  for (const field of ['identitytoken', 'registrytoken'])
    for (const entry of [{}, { auth: base64('robot:') }, { auth: base64('robot:p') }]) {
      const error = thrown(() => parse({ 'quay.io': { ...entry, [field]: 'hunter2' } }))
      test.match(
        error.message,
        `the entry quay.io of the dockerconfigjson has the field ${field}, with which`,
      )
      test.notMatch(everythingIn(error), /hunter2/)
      test.match(parse({ 'quay.io': { auth: base64('robot:p'), [field]: '' } }), { username: 'robot' })
    }
})

await t.test('of several matching entries the first one is used, and no other replaces it', async (test) => {
  const auths = { 'quay.io': { auth: base64('all:p') }, 'quay.io/openshift/ci': { auth: base64('one:p') } }
  test.match(parse(auths), { username: 'one' })
  test.match(
    thrown(() => parse({ ...auths, 'quay.io/openshift/ci': {} })).message,
    /^the entry quay\.io\/openshift\/ci of the dockerconfigjson holds no user name and password$/,
  )
})

await t.test('of a repository without an entry there is no credential', async (t) => {
  const auth = (user: string) => ({ username: user, password: 'secret' })
  const content = JSON.stringify({
    auths: { 'quay.io/openshift': auth('a'), 'quay.io/openshift/ci': auth('b') },
  })
  const userOf = (host: string, repository: string) =>
    credentialFor(content, { upstream: new URL(`https://${host}`), repository })?.username
  t.equal(userOf('quay.io', 'openshift/ci'), 'b')
  t.equal(userOf('quay.io', 'openshift/other'), 'a')
  t.equal(userOf('quay.io', 'fedora/fedora'), undefined)
  t.equal(userOf('ghcr.io', 'openshift/ci'), undefined)
})
