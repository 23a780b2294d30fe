import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadManifests, readManifests } from '../../../src/sandbox/app-ci/kubernetes-object.ts'

const account = (name: string) => `apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: ${name}}\n`

await t.test('every document of every manifest, in order, lists flattened', async (test) => {
  const directory = test.testdir({
    'a.yaml': `# about\n---\n${account('a1')}--- # next\n${account('a2')}---\n\n# nothing here\n---\n`,
    b: {
      'b.yml': account('b1'),
      'c.json': JSON.stringify({
        apiVersion: 'v1',
        kind: 'List',
        items: [
          { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'c1' } },
          { apiVersion: 'v1', kind: 'List', items: [{ apiVersion: 'route.openshift.io/v1', kind: 'Route' }] },
          { apiVersion: 'example.com/v1', kind: 'AllowList', metadata: { name: 'no list of objects' } },
        ],
      }),
      'README.md': 'not a manifest',
    },
  })
  const objects = await readManifests(directory)
  test.same(
    objects.map(({ kind, metadata }) => `${kind} ${metadata?.name}`),
    [
      'ServiceAccount a1',
      'ServiceAccount a2',
      'ServiceAccount b1',
      'ServiceAccount c1',
      'Route undefined',
      'AllowList no list of objects',
    ],
  )
})

await t.test('an error says where', async (test) => {
  const reject = async (content: string, message: RegExp) => {
    const directory = test.testdir({ 'x.yaml': `${account('fine')}---\n${content}` })
    await test.rejects(readManifests(directory), { message }, content)
  }
  await reject('kind: [', /x\.yaml, document 2: .*end of the/s)
  await reject(
    'apiVersion: v1',
    /x\.yaml, document 2: not a Kubernetes object, it needs an apiVersion and a kind$/,
  )
  await reject('kind: Role', /x\.yaml, document 2: not a Kubernetes object/)
  await reject('null', /x\.yaml, document 2: /)
  await reject('just words', /x\.yaml, document 2: not a Kubernetes object/)
  await reject(
    'apiVersion: v1\nkind: List\nitems: [null]',
    /x\.yaml, document 2, item 1: not a Kubernetes object/,
  )

  const missing = join(test.testdir({}), 'missing')
  await test.rejects(readManifests(missing), {
    message: `cannot read the manifests below ${missing}: ENOENT`,
  })
  const dangling = test.testdir({ 'd.yaml': test.fixture('symlink', 'nowhere') })
  await test.rejects(readManifests(dangling), { message: /d\.yaml: ENOENT/ })
})

await t.test(
  'a ConfigMap as it is mounted, links to directories, and directories called like files',
  async (test) => {
    const directory = test.testdir({
      '..2026_11_28': { 'mounted.yaml': account('mounted'), 'words.yaml': 'words' },
      '..data': test.fixture('symlink', '..2026_11_28'),
      'mounted.yaml': test.fixture('symlink', '..data/mounted.yaml'),
      elsewhere: { 'a.yaml': account('a') },
      link: test.fixture('symlink', 'elsewhere'),
      'folder.yaml': { 'b.yaml': account('b'), back: test.fixture('symlink', '..') },
    })
    const { objects, skipped } = await loadManifests(directory)
    const names = objects.map(({ metadata }) => metadata?.name)
    test.strictSame(names, ['a', 'b', 'a', 'mounted'])
    test.strictSame(skipped, [])
  },
)

await t.test('a file that cannot be read is named and left out', async (test) => {
  // The path of a socket is short.
  const short = await mkdtemp(join(tmpdir(), 'socket-'))
  const socket = createServer().listen(join(short, 's'))
  test.teardown(async () => {
    socket.close()
    await rm(short, { recursive: true })
  })
  await once(socket, 'listening')
  const directory = test.testdir({
    'a.yaml': account('a'),
    'gone.yaml': test.fixture('symlink', 'nowhere'),
    'socket.yaml': test.fixture('symlink', join(short, 's')),
  })
  const { objects, skipped } = await loadManifests(directory)
  test.equal(objects.length, 1)
  test.match(skipped, [/gone\.yaml: ENOENT/, /socket\.yaml: ENXIO/])
})

await t.test('items of a list of one kind need not say what they are', async (test) => {
  const directory = test.testdir({
    'a.json': JSON.stringify({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBindingList',
      items: [{ metadata: { name: 'a' } }, { apiVersion: 'v1', kind: 'Secret' }, { kind: 'Half' }],
    }),
  })
  const { objects, skipped } = await loadManifests(directory)
  const said = objects.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`)
  test.strictSame(said, ['rbac.authorization.k8s.io/v1 RoleBinding', 'v1 Secret'])
  test.match(skipped, [/a\.json, document 1, item 3: not a Kubernetes object/])
})

await t.test(
  'a document that is not a manifest is named and left out, and the others are loaded',
  async (test) => {
    const directory = test.testdir({
      'a.yaml': `${account('a1')}---\nkind: [\n---\njust words\n---\n${account('a2')}`,
      '_config.yaml': account('never'),
      'dashboard.json': '{"panels": []}',
      'jsonnetfile.lock.json': 'null',
      deep: { '_more.yml': 'supplementalCIImages: {}' },
      'template.yaml': 'apiVersion: template.openshift.io/v1\nkind: Template\nobjects: []',
      'list.yaml': `apiVersion: v1\nkind: List\nitems: [null, {apiVersion: v1, kind: ServiceAccount, metadata: {name: l}}]`,
      'empty.yaml': '# nothing\n',
    })
    const { objects, skipped, isWhole } = await loadManifests(directory)
    test.equal(isWhole, false)
    test.strictSame(
      objects.map(({ metadata }) => metadata?.name),
      ['a1', 'a2', 'l'],
    )
    const noObject = 'not a Kubernetes object, it needs an apiVersion and a kind'
    const told = skipped.map((text) => text.replace(`${directory}/`, ''))
    test.match(told, [
      '_config.yaml: its name begins with _, so it is applied to no cluster',
      /^a\.yaml, document 2: /,
      `a.yaml, document 3: ${noObject}`,
      `dashboard.json, document 1: ${noObject}`,
      'deep/_more.yml: its name begins with _',
      'jsonnetfile.lock.json, document 1: Failed to load YAML',
      `list.yaml, document 1, item 1: ${noObject}`,
      'template.yaml, document 1: a Template, whose objects depend on its parameters',
    ])
    test.equal(told.length, 8)
    const file = await loadManifests(join(directory, 'list.yaml'))
    test.strictSame([file.objects.length, file.isWhole], [1, true], 'one file')
    await test.rejects(readManifests(directory), { message: /_config\.yaml: its name begins with _/ })
  },
)
