/**
 * The page of the mirror: a form, and the queue or one image. Each row has a button that syncs its image, with the token that is typed into
 * the same form.
 */
import { failureSection, framed, type Failure, type FrameOptions } from '../frame.ts'
import { html, trusted, type Html } from '../html.ts'
import type { MirroredImage, MirrorQueue, MirrorTask } from './mirror-answer.ts'

export interface MirrorsContent {
  /** The fields of the form. */
  readonly fields: Readonly<Record<FilterName, string>>
  /** Whether a token may be typed: see `IsConfidential`. */
  readonly acceptsToken: boolean
  readonly queue?: MirrorQueue | undefined
  readonly image?: MirroredImage | undefined
  /** Whether the image is copied now if it differs. */
  readonly isSynced?: boolean | undefined
  readonly failure?: Failure | undefined
  readonly requestId: string
}

export const filterNames = ['target', 'state', 'owner', 'limit'] as const
export type FilterName = (typeof filterNames)[number]

export const mirrorsPageOf = (frame: FrameOptions, content: MirrorsContent): string =>
  framed(frame, {
    title: 'Mirror - ',
    about: 'The mirror copies external images to QCI. This is its queue: the images that differ.',
    content: content.acceptsToken
      ? html`${failureOf(content)}
          <form method="post" action="/mirrors">${form(content)} ${results(content)}</form>`
      : html`${failureOf(content)} ${notConfidential(frame)} ${results(content)}`,
    requestId: content.requestId,
  })

const failureOf = ({ failure }: MirrorsContent): Html | undefined =>
  failure === undefined ? undefined : failureSection(failure)

const notConfidential = ({ exposed }: FrameOptions): Html =>
  html`<section>
    <p>
      Others could read a token on this connection, so the form is closed. Open ${exposed.origin}/mirrors.
    </p>
  </section>`

const labels: Readonly<Record<FilterName, string>> = {
  target: 'Image (empty: the queue)',
  state: 'State (empty: all)',
  owner: 'Owner (empty: all)',
  limit: 'Most rows',
}
const examples: Readonly<Record<FilterName, string>> = {
  target: 'ocp/ubi:9',
  state: 'dead',
  owner: 'qciToAppCIImages',
  limit: '100',
}

const form = ({ fields }: MirrorsContent): Html =>
  html`<section>
    <h2>Look at the queue</h2>
    ${filterNames.map(
      (name) =>
        html`<label for="${name}">${labels[name]}</label>
          <input
            id="${name}"
            name="${name}"
            value="${fields[name]}"
            maxlength="700"
            autocapitalize="none"
            autocomplete="off"
            spellcheck="false"
            placeholder="${examples[name]}"
          />`,
    )}
    <label for="token">Token</label>
    <input
      id="token"
      name="token"
      type="password"
      required
      autocomplete="off"
      aria-describedby="token-hint"
    />
    <p class="hint" id="token-hint">
      What <code>oc whoami -t</code> prints. It is used for this one answer, and not stored: type it again
      before you sync an image.
    </p>
    <button>Show</button>
  </section>`

const results = ({ queue, image, isSynced, acceptsToken }: MirrorsContent): Html | undefined => {
  if (image !== undefined) return imageSection(image, isSynced === true, acceptsToken)
  return queue === undefined ? undefined : queueSection(queue, acceptsToken)
}

const syncButton = (target: string, acceptsToken: boolean): Html | undefined =>
  acceptsToken
    ? html`<button name="sync" value="${target}" aria-label="Sync ${target}">Sync</button>`
    : undefined

const imageSection = (
  { target, state, explanation, ...fields }: MirroredImage,
  isSynced: boolean,
  acceptsToken: boolean,
): Html =>
  html`<section class="verdict ${state === 'same' ? 'allowed' : ''}" role="status">
    <h2>${target}</h2>
    <p>${isSynced ? 'It was compared now, and is copied if it differs. ' : undefined}${explanation}</p>
    <dl>
      <dt>state</dt>
      <dd>${state}</dd>
      ${Object.entries(fields).map(([name, value]) => row(name, value))}
    </dl>
    ${syncButton(target, acceptsToken)}
  </section>`

const row = (name: string, value: unknown): Html | undefined =>
  (typeof value === 'string' && value !== '') || typeof value === 'number'
    ? html`<dt>${name.replaceAll('_', ' ')}</dt>
        <dd>${value}</dd>`
    : undefined

const queueSection = ({ mirrors, total }: MirrorQueue, acceptsToken: boolean): Html => {
  const shown = mirrors ?? []
  return html`<section class="queue" role="status">
    <h2>${total === 1 ? '1 image' : `${total} images`} in the queue</h2>
    ${shown.length === 0 ? html`<p>None of them is selected.</p>` : table(shown, acceptsToken)}
  </section>`
}

/** A phone shows each row as a list. Only roles that are written stay then. */
const table = (tasks: readonly MirrorTask[], acceptsToken: boolean): Html =>
  html`<table role="table">
    <thead>
      <tr>
        <th scope="col">Image</th>
        <th scope="col">Source</th>
        <th scope="col">State</th>
        <th scope="col">Last error</th>
        ${acceptsToken ? trusted('<th scope="col">Sync</th>') : undefined}
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${tasks.map((task) => tableRow(task, acceptsToken))}
    </tbody>
  </table>`

const tableRow = (
  { target, source, state, failures, last_error: lastError }: MirrorTask,
  acceptsToken: boolean,
): Html =>
  html`<tr role="row">
    <th scope="row" role="rowheader">${target}</th>
    <td role="cell" data-label="Source">${source}</td>
    <td role="cell" data-label="State">${state}${failures > 0 ? `, ${failures} failures` : ''}</td>
    <td role="cell" data-label="Last error">${lastError}</td>
    ${acceptsToken ? html`<td role="cell">${syncButton(target, acceptsToken)}</td>` : undefined}
  </tr>`
