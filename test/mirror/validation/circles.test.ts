import t from 'tap'
import { checkCircles } from '../../../src/mirror/validation/circles.ts'
import { configOf, supplemental } from './entries.ts'

await t.test('an image that is copied onto itself', async (t) => {
  const problems = checkCircles(
    configOf(
      `${supplemental({
        'a/b:1': 'quay.io/openshift/ci:a_b_1',
        'a/b:2': 'quay-proxy.ci.openshift.org/openshift/ci:a_b_2',
        'a/b:3': 'quay-proxy.ci.openshift.org/a/b:3',
        'a/b:4': 'quay.io/openshift/ci:a_b_5',
        'a/b:0': 'quay.io/a/b:0',
        'a/b:6': 'registry.ci.openshift.org/a/b:6',
      })}  coreos/base:9.6: {namespace: coreos, name: base, tag: "9.6"}\n`,
    ),
  )
  t.strictSame(
    problems.map(({ subject }) => subject),
    [1, 2, 3].map((tag) => `supplementalCIImages[a/b:${tag}]`),
    'an ImageStream of the same name is another registry',
  )
  t.match(problems, [{ message: /copies quay\.io\/openshift\/ci:a_b_1 onto itself$/ }])
})

await t.test('from app.ci to QCI and back', async (t) => {
  const problems = checkCircles(
    configOf(`supplementalCIImages:
  a/b:c: {namespace: a, name: b, tag: c}
  x/y:z: {namespace: a, name: b, tag: c}
qciToAppCIImages:
  a/b:c: {}
`),
  )
  t.strictSame(
    problems.map(({ severity, subject }) => `${severity} ${subject}`),
    ['error supplementalCIImages[a/b:c]', 'error qciToAppCIImages[a/b:c]'],
    'x/y:z leads out of the circle',
  )
  t.equal(
    problems[0]?.message,
    'supplementalCIImages[a/b:c] is a part of a circle of copies: quay.io/openshift/ci:a_b_c -> registry.ci.openshift.org/a/b:c -> quay.io/openshift/ci:a_b_c',
  )
})

await t.test('a circle of three in QCI', async (t) => {
  const ci = 'quay.io/openshift/ci'
  const problems = checkCircles(
    configOf(
      supplemental({
        'a/b:1': `${ci}:a_b_3`,
        'a/b:2': `${ci}:a_b_1`,
        'a/b:3': `${ci}:a_b_2`,
        'a/b:4': `${ci}:a_b_1`,
      }),
    ),
  )
  t.equal(problems.length, 3)
})
