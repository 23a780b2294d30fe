import t from 'tap'
import { html, trusted } from '../../src/page/html.ts'

await t.test('attack: markup in a value', async (test) => {
  test.equal(
    html`<p title="${`"'`}">${'<script>&'}</p>`.toString(),
    '<p title="&quot;&#39;">&lt;script&gt;&amp;</p>',
  )
})

await t.test('html in html, lists, numbers and nothing', async (test) => {
  const rows = ['a', '<b>'].map((text) => html`<i>${text}</i>`)
  test.equal(
    html`<p>${rows}${undefined}${1}${trusted('<hr>')}</p>`.toString().replaceAll(/\s+/g, ''),
    '<p><i>a</i><i>&lt;b&gt;</i>1<hr></p>',
  )
})
