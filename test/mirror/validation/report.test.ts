import t from 'tap'
import { formatReport } from '../../../src/mirror/validation/report.ts'
import type { Validation } from '../../../src/mirror/validation/validate.ts'

const validation: Validation = {
  problems: [
    {
      severity: 'error',
      position: { line: 12, column: 3 },
      subject: 'supplementalCIImages[a/b:c]',
      message: 'a is 100% wrong\n::error::forged',
      cure: 'write b, c',
    },
    { severity: 'warning', position: { line: 13, column: 1 }, subject: 's', message: 'm', cure: 'c' },
  ],
  isValid: false,
}

await t.test('for a person, each problem on a line of its own', async (t) => {
  t.strictSame(formatReport('_config.yaml', validation, 'plain').split('\n'), [
    '_config.yaml:12:3: error: a is 100% wrong?::error::forged; write b, c',
    '_config.yaml:13:1: warning: m; c',
    '_config.yaml: not valid, 1 error, 1 warning',
  ])
  t.equal(formatReport('f', { problems: [], isValid: true }, 'plain'), 'f: valid, 0 errors, 0 warnings')
})

await t.test('for a program', async (t) => {
  t.strictSame(JSON.parse(formatReport('f', validation, 'json')), {
    file: 'f',
    valid: false,
    problems: validation.problems.map(({ position, ...problem }) => ({ ...problem, ...position })),
  })
})

await t.test('attack: a text that forges an annotation', async (t) => {
  t.strictSame(formatReport('a,b.yaml', validation, 'github').split('\n'), [
    '::error file=a%2Cb.yaml,line=12,col=3,title=supplementalCIImages[a/b%3Ac]::a is 100%25 wrong%0A::error::forged; write b, c',
    '::warning file=a%2Cb.yaml,line=13,col=1,title=s::m; c',
    'a,b.yaml: not valid, 1 error, 1 warning',
  ])
})
