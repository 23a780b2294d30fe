import t from 'tap'
import { dnsLabelPattern } from '../../src/oci/dns-label.ts'

await t.test('a label has letters, digits and inner dashes, up to 63 characters', async (test) => {
  for (const label of ['a', '0', 'ocp', 'ocp-4', 'a--b', 'a'.repeat(63)])
    test.ok(dnsLabelPattern.test(label), label)
  for (const label of ['', '-a', 'a-', 'A', 'a.b', 'a_b', 'a\n', 'a'.repeat(64)])
    test.notOk(dnsLabelPattern.test(label), label)
})
