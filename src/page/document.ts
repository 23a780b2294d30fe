/**
 * The page for people: how to log in, a form that explains an image, and the state of what the proxy depends on.
 */
import type { PartState } from '../telemetry/part-states.ts'
import { rowsOf, type Explanation } from '../explain/explanation.ts'
import type { LoginAdvice } from '../registry/authentication/login-advice.ts'
import { command, failureSection, framed, type Failure, type FrameOptions } from './frame.ts'
import { html, trusted, type Html } from './html.ts'

export interface PageFrame extends FrameOptions {
  readonly loginAdvice: LoginAdvice
  readonly allowAnonymous: boolean
  /** Only robots of the registry log in: no token of the cluster is accepted. */
  readonly robotsOnly: boolean
}

export interface PageContent {
  /** The text of the form. */
  readonly image: string
  /** Whether a token may be typed: see `IsConfidential`. */
  readonly acceptsToken: boolean
  readonly parts: readonly PartState[]
  readonly result?: Explanation | undefined
  readonly failure?: Failure | undefined
  readonly requestId: string
}

export const pageOf = (frame: PageFrame, content: PageContent): string =>
  framed(frame, {
    title: titleOf(content),
    about: `The container images of OpenShift CI.${frame.robotsOnly ? '' : ' Your login of the app.ci cluster decides which of them you may pull.'}`,
    content: html`${verdict(content)} ${frame.robotsOnly ? undefined : question(frame, content)}
    ${logins(frame)} ${states(content.parts)}`,
    requestId: content.requestId,
  })

const headings = {
  allowed: 'You may pull this image',
  denied: 'You may not pull this image',
  unknown: 'It is not known now whether you may pull this image',
} as const

const titleOf = ({ result, failure }: PageContent): string => {
  if (failure !== undefined) return `${failure.heading} - `
  return result === undefined ? '' : `${headings[result.access]} - `
}

const verdict = ({ result, failure }: PageContent): Html => {
  if (failure !== undefined) return failureSection(failure)
  if (result === undefined) return html``
  const { access, inQci, pullSpec, reason, next } = result
  const isAbsent = access === 'allowed' && inQci === 'no'
  const heading = isAbsent ? 'This image is not in QCI' : headings[access]
  return html`<section class="verdict ${access}${isAbsent ? ' absent' : ''}" role="status">
    <h2>${heading}</h2>
    ${isAbsent ? html`<p><code>${pullSpec}</code></p>` : command(`podman pull ${pullSpec}`)}
    <p>${reason}</p>
    ${next === `podman pull ${pullSpec}` ? undefined : nextStep(next)}
    <details>
      <summary>How this was decided</summary>
      <dl>
        ${rowsOf(result).map(([name, value]) =>
          value === undefined
            ? undefined
            : html`<dt>${name}</dt>
                <dd>${value}</dd>`,
        )}
      </dl>
    </details>
  </section>`
}

/** A command in the text gets a line of its own. */
const nextStep = (next: string): Html => {
  const at = next.search(/(?<=: )(?:oc policy|skopeo) /)
  const [text, toRun] = at === -1 ? [next, undefined] : [next.slice(0, at), next.slice(at)]
  return html`<p class="next"><strong>Next:</strong> ${text}</p>
    ${toRun === undefined ? undefined : command(toRun)}`
}

const question = (frame: PageFrame, content: PageContent): Html =>
  content.acceptsToken ? form(frame, content) : notConfidential(frame)

const form = ({ allowAnonymous }: PageFrame, { image }: PageContent): Html =>
  html`<section>
    <h2>May I pull this image?</h2>
    <form method="post" action="/">
      <label for="image">Image</label>
      <input
        id="image"
        name="image"
        value="${image}"
        required
        maxlength="700"
        autocapitalize="none"
        autocomplete="off"
        spellcheck="false"
        placeholder="ocp/4.5:base"
        aria-describedby="image-hint"
      />
      <p class="hint" id="image-hint">
        A pull spec of this registry, of registry.ci.openshift.org or of quay.io/openshift/ci, with its tag or
        digest.
      </p>
      <label for="token">Token${allowAnonymous ? ' (empty: without a login)' : ''}</label>
      <input
        id="token"
        name="token"
        type="password"
        ${allowAnonymous ? '' : trusted(' required')}
        autocomplete="off"
        aria-describedby="token-hint"
      />
      <p class="hint" id="token-hint">
        What <code>oc whoami -t</code> prints. It is used for this one answer, and not stored.
      </p>
      <button>Explain</button>
    </form>
  </section>`

const notConfidential = ({ exposed }: PageFrame): Html =>
  html`<section>
    <h2>May I pull this image?</h2>
    <p>
      Others could read a token on this connection, so the form is closed.
      ${
        exposed.protocol === 'https:'
          ? html`Open <a href="${exposed.origin}/">${exposed.origin}</a>.`
          : undefined
      }
      On the command line:
    </p>
    ${command(`quay-proxy explain ocp/4.5:base --server ${exposed.origin}`)}
  </section>`

const logins = ({ loginAdvice: { first, host }, robotsOnly }: PageFrame): Html =>
  html`<section>
    <h2>Log in</h2>
    ${robotsOnly ? robotLogin(host) : clusterLogins(first, host)}
    <h3>Then pull</h3>
    ${command(`podman pull ${host}/ocp/4.5:base`)}
  </section>`

const robotLogin = (host: string): Html =>
  html`<h3>With the pull secret of a robot</h3>
    ${command(`podman login -u=ROBOT ${host}`)}`

const clusterLogins = (first: string, host: string): Html =>
  html`<h3>As yourself</h3>
    ${first.split(', then ').map(command)}
    <h3>As a service account</h3>
    ${command(`podman login -u=NAME -p=$(oc create token NAME -n NAMESPACE --duration=24h) ${host}`)}`

const stateWords = { works: 'works', fails: 'fails', unknown: 'not known yet' } as const

const states = (parts: readonly PartState[]): Html =>
  html`<section>
    <h2>State</h2>
    <dl>
      ${parts.map(
        ({ name, state, detail, page }) =>
          html`<dt>${page === undefined ? name : html`<a href="${page}">${name}</a>`}</dt>
            <dd>
              <span class="${state}">${stateWords[state]}</span>${detail === undefined ? '' : `, ${detail}`}
            </dd>`,
      )}
    </dl>
  </section>`
