/** docs/runbook.md has a section for every alert and for every message that the proxy logs as a warning or an error; and none for what does not exist. */
import { globSync, readFileSync } from 'node:fs'
import { loadYaml } from '@kubernetes/client-node'
import t from 'tap'

const runbook = readFileSync('docs/runbook.md', 'utf8')
const sections = runbook
  .split(/^### /m)
  .slice(1)
  .map((text) => {
    const [title = ''] = text.split('\n', 1)
    return {
      title: title.replaceAll('`', ''),
      isMessage: title.startsWith('`'),
      text: text.split(/^## /m)[0]!,
    }
  })
const titles = sections.map(({ title }) => title)

interface Rules {
  readonly spec: {
    readonly groups: readonly {
      readonly rules: readonly {
        readonly alert?: string
        readonly annotations?: { readonly runbook_url: string }
      }[]
    }[]
  }
}

const rules = globSync('manifests/{components/*,mirror}/prometheusrule.yaml')
  .flatMap((file) => loadYaml<Rules>(readFileSync(file, 'utf8')).spec.groups)
  .flatMap((group) => group.rules)
const alerts = rules.flatMap(({ alert }) => alert ?? [])

/** The product, without the sandbox: nobody operates that. */
const source = globSync('src/**/*.ts')
  .filter((file) => !file.startsWith('src/sandbox/'))
  .map((file) => readFileSync(file, 'utf8'))
  .join('\n')

/** From an opening bracket to the one that closes it. */
const callAt = (start: number): string => {
  let depth = 0
  for (let index = start; index < source.length; index++) {
    if (source[index] === '(') depth += 1
    if (source[index] === ')' && --depth === 0) return source.slice(start, index)
  }
  return ''
}

const logged = [
  ...[...source.matchAll(/logger\.(?:warn|error)\(/g)].flatMap(({ index, 0: opening }) =>
    [...callAt(index + opening.length - 1).matchAll(/'([^'\n]{5,})'/g)].map(([, message = '']) => message),
  ),
  // What src/proxy/warm-up.ts hands to one call for both servers.
  ...[...source.matchAll(/\bfailed: '([^'\n]+)'/g)].map(([, message = '']) => message),
]

await t.test('every alert has its section, where its runbook_url leads', async (test) => {
  test.ok(alerts.length > 20)
  for (const { alert, annotations } of rules) {
    if (alert === undefined) continue
    test.ok(titles.includes(alert), alert)
    test.match(annotations!.runbook_url, new RegExp(`#${alert.toLowerCase()}$`))
  }
})

await t.test('every warning and every error of the log has its section', async (test) => {
  test.ok(logged.length >= 12, `${logged.length} of them`)
  const messages = sections.filter(({ isMessage }) => isMessage).map(({ title }) => title)
  for (const message of logged)
    test.ok(
      messages.some((title) => message === title || (title.length > 12 && message.startsWith(title))),
      message,
    )
})

await t.test('every section is an alert or a message that exists', async (test) => {
  test.equal(new Set(titles).size, titles.length, 'each once')
  for (const { title, isMessage } of sections)
    test.ok(isMessage ? source.includes(title) : alerts.includes(title), title)
})

await t.test('every section has a cause, a check with a command, and a cure', async (test) => {
  for (const { title, text } of sections)
    test.match(text, /^- \*\*Cause\.\*\* [^]*^- \*\*Check\.\*\* [^]*^- \*\*Cure\.\*\* /m, title)
  const checks = sections.map(({ text }) => /\*\*Check\.\*\*([^]*?)^- \*\*Cure/m.exec(text)?.[1] ?? '')
  test.ok(
    checks.filter((check) => /`(?:oc|curl|skopeo|podman|quay-proxy|grep|ls|ps) /.test(check)).length >= 35,
  )
})
