/**
 * The style and the script of the page. They are part of the page, so that it needs no further request and no other origin.
 */
export const style = `
:root { color-scheme: light dark;
  --ground: #f7f8f9; --card: #ffffff; --ink: #1c2430; --soft: #566070; --line: #dde1e6; --accent: #0b5cad; --on-accent: #ffffff;
  --code: #f1f3f5; --good: #1a6b3c; --bad: #a3261f; --dim: #6b5300; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #12161b; --card: #1a2027; --ink: #e6eaef; --soft: #a3adba; --line: #2d353f; --accent: #7cb8f5; --on-accent: #0c1a29;
  --code: #12171d; --good: #7fd1a0; --bad: #f2938c; --dim: #e0c36a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: anywhere; }
main, header, footer { max-width: 46rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 3rem; padding-bottom: .5rem; }
footer { padding-top: 1rem; padding-bottom: 3rem; color: var(--soft); font-size: .9rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .5rem; font-weight: 650; }
h2 { font-size: 1.15rem; margin: 0 0 .75rem; font-weight: 650; }
h3 { font-size: 1rem; margin: 1.25rem 0 .4rem; font-weight: 600; }
p { margin: 0 0 .75rem; }
header p, .hint { color: var(--soft); }
.hint { font-size: .9rem; margin: .3rem 0 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.5rem; margin: 1.25rem 0; }
label { display: block; font-weight: 600; margin: 1rem 0 .3rem; }
input { width: 100%; font: inherit; padding: .6rem .75rem; color: inherit; background: var(--ground); border: 1px solid var(--soft); border-radius: .5rem; }
button { font: inherit; font-weight: 600; margin-top: 1.25rem; padding: .6rem 1.4rem; border: 0; border-radius: .5rem; background: var(--accent); color: var(--on-accent); cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
a { color: var(--accent); }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, monospace; font-size: .88rem; }
.command { position: relative; }
pre { margin: .25rem 0 .75rem; padding: .7rem .9rem; background: var(--code); border: 1px solid var(--line); border-radius: .5rem; white-space: pre-wrap; user-select: all; }
/* Browsers break a line after each hyphen. A command is broken between its words. */
pre span { display: inline-block; max-width: 100%; }
.copies pre { padding-right: 5rem; }
.copy { position: absolute; top: .4rem; right: .4rem; margin: 0; padding: .15rem .7rem; font-size: .82rem; background: var(--card); color: var(--accent); border: 1px solid var(--line); }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .75rem .45rem 0; border-top: 1px solid var(--line); min-width: 6rem; }
thead th { border-top: 0; color: var(--soft); font-weight: 600; }
td button { margin: 0; padding: .25rem .8rem; font-size: .85rem; }
td:empty { min-width: 0; }
dl { display: grid; grid-template-columns: minmax(7rem, auto) 1fr; gap: .35rem 1.25rem; margin: 1rem 0; }
dt { color: var(--soft); }
dd { margin: 0; }
.verdict { border-left: .35rem solid var(--dim); }
.verdict.allowed:not(.absent) { border-left-color: var(--good); }
.verdict.denied, .verdict.failed { border-left-color: var(--bad); }
.next { margin: 0 0 .75rem; }
summary { cursor: pointer; color: var(--soft); padding: .25rem 0; }
section > :last-child, section > :last-child > :last-child, details > :last-child { margin-bottom: 0; }
.works { color: var(--good); } .fails { color: var(--bad); } .unknown { color: var(--dim); }
@media (min-width: 68rem) { .queue { margin-left: -9rem; margin-right: -9rem; } }
@media (max-width: 40rem) { table, tbody, tr, th, td { display: block; } thead { display: none; } tbody tr { padding: .75rem 0; border-top: 1px solid var(--line); }
  th, td { border: 0; padding: .1rem 0; } td:empty { display: none; } td[data-label]::before { content: attr(data-label) ': '; color: var(--soft); } td button { margin-top: .4rem; } }
@media (max-width: 30rem) { header { padding-top: 1.75rem; } section { padding: 1.1rem; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; } button:not(.copy) { width: 100%; }
  .copies pre { padding-right: .9rem; margin-bottom: .4rem; } .copy { position: static; margin-bottom: .75rem; } }
`

/** Adds a button to each command. Without it, a click selects the whole command. */
export const script = `
if (navigator.clipboard) for (const command of document.querySelectorAll('.command')) {
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'copy'
  button.textContent = 'Copy'
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(command.querySelector('pre').textContent)
    button.textContent = 'Copied'
    setTimeout(() => { button.textContent = 'Copy' }, 2000)
  })
  command.classList.add('copies')
  command.append(button)
}
`
