import t from 'tap'
import { script, style } from '../../src/page/assets.ts'
import { command, failureSection, framed } from '../../src/page/frame.ts'
import { html } from '../../src/page/html.ts'

const exposed = new URL('https://proxy.example')
const framing = { title: 'A <b> - ', about: 'About.', content: html`<p>content</p>`, requestId: 'the-id' }

await t.test('the head, the content and the foot of every page', async (test) => {
  const text = framed({ exposed, helpUrl: new URL('https://help.example/?a=1&b=2') }, framing)
  test.match(text, /^<!doctype html>/)
  test.match(text, '<title>A &lt;b&gt; - proxy.example</title>')
  test.match(text, `<style>${style}</style>`)
  test.match(text, `<script>${script}</script>`)
  test.match(text, '<main><p>content</p></main>')
  test.match(text, '<a href="https://help.example/?a=1&amp;b=2">')
  test.match(text, 'Request id the-id')
  test.notMatch(framed({ exposed, helpUrl: undefined }, framing), 'Help:')
})

await t.test('a failure and a command are escaped', async (test) => {
  test.match(
    failureSection({ heading: '<b>', sentence: '<i>' }).toString(),
    /role="alert">\s*<h2>&lt;b&gt;<\/h2>\s*<p>&lt;i&gt;<\/p>/,
  )
  test.match(
    command('a & b').toString(),
    '<pre><code><span>a</span> <span>&amp;</span> <span>b</span></code></pre>',
  )
})
