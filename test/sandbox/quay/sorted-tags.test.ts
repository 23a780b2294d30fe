import t from 'tap'
import { collations } from '../../../src/sandbox/quay/collation.ts'
import { SortedTags } from '../../../src/sandbox/quay/sorted-tags.ts'

const all = (tags: SortedTags): readonly string[] => tags.after('', Infinity).names

for (const [name, collation] of Object.entries(collations)) {
  await t.test(`${name}: in order, however many come at once`, (test) => {
    const tags = new SortedTags(collation)
    const many = Array.from({ length: 1500 }, (_, index) => `t_${(index * 7919) % 1500}`)
    for (const tag of many) tags.add(tag)
    test.strictSame(all(tags), collation.inOrder(many))
    const few = ['t_7a', 'a', 'z', 'T_7']
    for (const tag of few) tags.add(tag)
    test.strictSame(all(tags), collation.inOrder([...many, ...few]), 'a few find their places')
    tags.add('t_7b')
    for (const tag of [...many, 't_7a']) tags.delete(tag)
    test.strictSame(all(tags), collation.inOrder(['a', 'z', 'T_7', 't_7b']))
    test.end()
  })

  await t.test(`${name}: pages lead from one end to the other, each name once`, (test) => {
    const tags = new SortedTags(collation)
    const names = ['ocp_4', 'OCP_4', 'ocp-priv_4', 'ocp.x', '2024_x', 'ocp4', 'Ocp_4']
    for (const tag of names) tags.add(tag)
    const walked: string[] = []
    let page = tags.after('', 2)
    while (page.more) {
      walked.push(...page.names)
      page = tags.after(walked.at(-1)!, 2)
    }
    test.strictSame([...walked, ...page.names], collation.inOrder(names))
    test.strictSame(tags.after('ocq', 5), { names: [], more: false }, 'after a name that is no tag')
    test.end()
  })
}
