import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readPromotedTags } from '../../../src/mirror/validation/promoted-tags.ts'

await t.test('tags that builds promote', async (t) => {
  const directory = t.testdir()
  mkdirSync(join(directory, 'org', 'repo'), { recursive: true })
  const write = (name: string, text: string) => writeFileSync(join(directory, 'org', 'repo', name), text)
  write(
    'main.yaml',
    `images:
- {to: cli, from: base}
- {to: tests}
- {from: nowhere}
promotion:
  to:
  - {namespace: ocp, name: "5.0", excluded_images: [tests], additional_images: {artifacts: src}}
  - {namespace: ci, tag: latest}
  - {namespace: ci, tag: never, disabled: true}
  - {namespace: ci, tag: never, disabled: yes}
`,
  )
  write(
    'items.yaml',
    `images:
  items:
  - to: server
promotion:
  to:
  - {namespace: a, name: b}
  - {namespace: a, name: c, excluded_images: ["*"], additional_images: {d: e}}
`,
  )
  write('none.yaml', 'images: [{to: nothing}]\n')
  write('odd.yaml', 'promotion:\n')
  write('list.yaml', '# promotion:\n- a\n')
  write('empty.yaml', '# promotion:\n')
  t.strictSame(
    Object.fromEntries(readPromotedTags(directory)),
    Object.fromEntries([
      ['a_b_server', 'org/repo/items.yaml'],
      ['a_c_d', 'org/repo/items.yaml'],
      ['ci_cli_latest', 'org/repo/main.yaml'],
      ['ci_tests_latest', 'org/repo/main.yaml'],
      ['ocp_5.0_artifacts', 'org/repo/main.yaml'],
      ['ocp_5.0_cli', 'org/repo/main.yaml'],
    ]),
  )
  write('bad.yaml', 'promotion: [')
  t.throws(() => readPromotedTags(directory), { message: /^org\/repo\/bad.yaml:1:\d+: this is not YAML/ })
})
