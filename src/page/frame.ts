/**
 * The frame around the content of every page: the head with the style, the name of the proxy, the help link and the request id.
 */
import { script, style } from './assets.ts'
import { html, trusted, type Html } from './html.ts'

export interface FrameOptions {
  /** `https://quay-proxy.ci.openshift.org` */
  readonly exposed: URL
  readonly helpUrl: URL | undefined
}

export interface Framed {
  /** Before the name of the proxy, in the title of the window. */
  readonly title: string
  /** Below the heading. */
  readonly about: Html | string
  readonly content: Html
  readonly requestId: string
}

export const framed = (
  { exposed, helpUrl }: FrameOptions,
  { title, about, content, requestId }: Framed,
): string =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}${exposed.host}</title>
        <link rel="icon" href="data:," />
        ${trusted(`<style>${style}</style>`)}
      </head>
      <body>
        <header>
          <h1>${exposed.host}</h1>
          <p>${about}</p>
        </header>
        <main>${content}</main>
        <footer>
          <p>${help(helpUrl)}Request id ${requestId}</p>
        </footer>
        ${trusted(`<script>${script}</script>`)}
      </body>
    </html> `.toString()

export interface Failure {
  readonly heading: string
  readonly sentence: string
}

/** For the place of an answer. */
export const failureSection = ({ heading, sentence }: Failure): Html =>
  html`<section class="verdict failed" role="alert">
    <h2>${heading}</h2>
    <p>${sentence}</p>
  </section>`

/** A line to copy. */
export const command = (text: string): Html =>
  html`<div class="command">
    <pre><code>${text.split(' ').map((word, index) => html`${index === 0 ? '' : ' '}<span>${word}</span>`)}</code></pre>
  </div>`

const help = (helpUrl: URL | undefined): Html =>
  helpUrl === undefined ? html`` : html`Help: <a href="${helpUrl.href}">${helpUrl.href}</a>. `
