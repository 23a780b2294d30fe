/** The page in a browser: its content security policy, its form without a script, and its accessibility. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { chromium, type Browser, type Page } from 'playwright-core'
import { test } from 'tap'
import { startSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { json, startFakeMirror, task } from '../page/mirror-queue/fake-mirror.ts'
import { missing } from './process.ts'

const skip = missing('chromium')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const sizes = [
  { width: 390, height: 844 },
  { width: 1280, height: 900 },
] as const
const longName = 'a'.repeat(200)
const schemes = ['light', 'dark'] as const

interface Opened {
  readonly page: Page
  /** What the browser said about the page: violations of its policy and errors. */
  readonly complaints: readonly string[]
  /** Requests to other origins. */
  readonly foreign: readonly string[]
}

const open = async (
  browser: Browser,
  { url }: Sandbox,
  context: Parameters<Browser['newContext']>[0],
): Promise<Opened> => {
  const page = await (await browser.newContext(context)).newPage()
  const [complaints, foreign]: [string[], string[]] = [[], []]
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) foreign.push(request.url())
  })
  await page.goto(url)
  return { page, complaints, foreign }
}

const explain = async (page: Page, image: string, token: string): Promise<string> => {
  await page.fill('#image', image)
  await page.fill('#token', token)
  await page.press('#token', 'Enter')
  return await page.locator('.verdict').innerText()
}

/** Findings of axe, serious ones and worse. */
const findings = async (page: Page): Promise<readonly string[]> => {
  await page.evaluate(axe)
  const { violations } = (await page.evaluate('axe.run()')) as {
    violations: readonly { readonly id: string; readonly impact: string }[]
  }
  return violations.filter(({ impact }) => ['serious', 'critical'].includes(impact)).map(({ id }) => id)
}

await test('the page', { skip }, async (suite) => {
  const log: string[] = []
  const mirror = await startFakeMirror()
  suite.teardown(mirror.close)
  const last_error = `the registry answered 401 to GET https://registry.example/v2/${longName}`
  mirror.reply = json(200, { mirrors: [{ ...task, target: `ocp/${longName}:9`, last_error }], total: 1 })
  const sandbox = await startSandbox({
    logger: createLogger('trace', { write: (line) => void log.push(line) }),
    rbac: ['manifests/rbac', 'manifests/examples'],
    port: 0,
    flags: ['--grace-period=0s', '--help-url=https://help.example/', `--mirror-url=${mirror.url.origin}`],
  })
  suite.teardown(sandbox.close)
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  suite.teardown(async () => await browser.close())
  const alice = sandbox.kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] })
  const mallory = sandbox.kubernetes.issueUserToken({ username: 'mallory', groups: [] })

  for (const viewport of sizes)
    for (const colorScheme of schemes)
      await suite.test(`${viewport.width} wide, ${colorScheme}`, async (t) => {
        const { page, complaints, foreign } = await open(browser, sandbox, { viewport, colorScheme })
        t.strictSame(await findings(page), [], 'the page itself')
        t.match(await explain(page, 'ocp/4.5:base', mallory), /You may not pull this image/)
        t.strictSame(await findings(page), [], 'with an answer')
        t.match(await explain(page, 'docker.io/a/b', alice), /docker.io is another registry/)
        t.strictSame(await findings(page), [], 'with a failure')
        const { width } = viewport
        t.ok(Number(await page.evaluate('document.documentElement.scrollWidth')) <= width, 'nothing is cut')
        // The browser itself notes the status of a page that is an error.
        t.strictSame(
          complaints.filter((text) => !/^Failed to load resource: .* 400/.test(text)),
          [],
          'no violation of the policy',
        )
        t.strictSame(foreign, [])
        await page.context().close()
      })

  for (const viewport of sizes)
    await suite.test(`the queue of the mirror, ${viewport.width} wide`, async (t) => {
      const { page, complaints } = await open(browser, sandbox, { viewport, colorScheme: 'dark' })
      await page.goto(`${sandbox.url}/mirrors`)
      await page.fill('#token', alice)
      await page.press('#token', 'Enter')
      t.match(await page.locator('.queue').innerText(), longName)
      t.match(await page.locator('.queue button').first().innerText(), 'Sync')
      t.strictSame(await findings(page), [])
      t.ok(
        Number(await page.evaluate('document.documentElement.scrollWidth')) <= viewport.width,
        'nothing is cut',
      )
      const hidden = 'getComputedStyle(document.querySelector("thead")).display === "none"'
      t.equal(await page.evaluate(hidden), viewport.width < 640, 'a phone shows a list')
      t.strictSame(complaints, [])
      await page.context().close()
    })

  await suite.test('without JavaScript, and by the keyboard alone', async (t) => {
    const { page } = await open(browser, sandbox, { javaScriptEnabled: false })
    await page.keyboard.press('Tab')
    await page.keyboard.type('ocp/4.5:base')
    await page.keyboard.press('Tab')
    await page.keyboard.type(alice)
    await page.keyboard.press('Enter')
    const text = await page.locator('.verdict').innerText()
    t.match(text, 'You may pull this image')
    t.match(text, `podman pull ${new URL(sandbox.url).host}/ocp/4.5:base`)
    t.equal(await page.locator('#image').inputValue(), 'ocp/4.5:base')
    t.equal(await page.locator('#token').inputValue(), '', 'the token is not shown again')
    t.equal(await page.locator('.copy').count(), 0, 'no button without a script')
    t.notMatch(await page.content(), alice)
    t.equal(page.url(), `${sandbox.url}/`, 'the token is not in the address')
  })

  await suite.test('a button copies a command', async (t) => {
    const { page } = await open(browser, sandbox, { permissions: ['clipboard-read', 'clipboard-write'] })
    await page.locator('.copy').first().click()
    await page.locator('.copy', { hasText: 'Copied' }).waitFor()
    t.match(await page.evaluate('navigator.clipboard.readText()'), /^podman login -u=\$\(oc whoami\)/)
  })

  for (const token of [alice, mallory]) suite.notMatch(log.join('\n'), token, 'no token is logged')
})
