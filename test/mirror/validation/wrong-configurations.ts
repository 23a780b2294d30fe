/** Wrong configurations, each with one error. */
import type { Position } from '../../../src/mirror/config/problem.ts'

/** Tags that a build promotes. */
export const promoted = new Map([['ocp_5.0_cli', 'openshift/oc/openshift-oc-main.yaml']])

const spellingsOfDockerHub = [
  'library/fedora:40',
  `fedora@sha256:${'a'.repeat(64)}`,
  'docker.io/fedora',
  'DOCKER.IO/a/b:c',
  'docker.io./a/b',
  'docker.io:443/a/b',
  'index.docker.io/a/b',
  'registry.hub.docker.com/library/fedora',
]

/** `@` stands where the problem is; an entry of supplementalCIImages, or other sections. */
export const wrongConfigurations: readonly (readonly [title: string, yaml: string, message: RegExp])[] = [
  ['no slash', '  @ab:c: {image: quay.io/a/b:c}', /is not a target/],
  ['two slashes', '  @a/b/c:d: {image: quay.io/a/b:c}', /is not a target/],
  ['no tag', '  @a/b: {image: quay.io/a/b:c}', /is not a target/],
  ['no source', '  a/b:c: @{}', /namespace, name, tag for the source .* not set/],
  ['half a source', '  a/b:c: @{namespace: a, name: b}', /tag for the source .* not set/],
  ['as', '  a/b:c: {image: quay.io/a/b:c, as: @x}', /sets as/],
  ['unknown key', '  a/b:c: {image: quay.io/a/b:c, @imgae: x}', /"imgae" is not a key/],
  ['key twice in two spellings', '  a/b:c: {image: quay.io/a/b:c, @Image: x}', /has image twice/],
  ['key twice', '  a/b:c: {image: quay.io/a/b:c, @image: x}', /a key is written twice/],
  ['number', '  a/b:4.10: {namespace: a, name: b, tag: @4.10}', /4\.10 is not text/],
  ['list as an image', '  a/b:c: {image: @[quay.io/a/b:c]}', /has a map or a list where text belongs/],
  ['list as an entry', '  a/b:c: @[quay.io/a/b:c]', /is not a map/],
  ['scheme', '  a/b:c: {image: @"https://quay.io/a/b:c"}', /begins with a scheme/],
  ['repository in upper case', '  a/b:c: {image: @quay.io/A/b:c}', /where a repository belongs/],
  ['short digest', '  a/b:c: {image: @"quay.io/a/b@sha256:abc"}', /where a digest belongs/],
  ['bad tag', '  a/b:c: {image: @"quay.io/a/b:.c"}', /where a tag belongs/],
  ['docker.io', '  @a/b:c: {image: docker.io/a/b:c}', /is from docker\.io/],
  ['Docker Hub without a host', '  @a/b:c: {image: fedora}', /is from docker\.io/],
  ['another name of Docker Hub', '  @a/b:c: {image: registry-1.docker.io/a/b:c}', /is from docker\.io/],
  ['long target', `  @a/b:${'c'.repeat(90)}: {image: quay.io/a/b:c}`, /is too long/],
  ['characters of a target', '  @a/b:c+d: {image: quay.io/a/b:c}', /is not a tag/],
  ['reads as a prune tag', '  @20260101000000/prune_a:b: {image: quay.io/a/b:c}', /taken for something else/],
  [
    'one tag in QCI',
    '  x/b_c:d: {image: quay.io/a/b:c}\n  @x/b:c_d: {image: quay.io/a/b:d}',
    /x\/b:c_d has the tag of x\/b_c:d/,
  ],
  ['promoted', '  @ocp/5.0:cli: {image: quay.io/a/b:c}', /would overwrite a promoted tag/],
  ['onto itself', '  @a/b:c: {image: quay.io/openshift/ci:a_b_c}', /onto itself/],
  ['unknown section', 'sections:\n@supplementalImages: {}', /is not a key of the configuration/],
  ['not in QCI', 'sections:\nqciToAppCIImages:\n  a/b:c: {image: @quay.io/a/b:c}', /is not in QCI/],
  ['namespace for app.ci', 'sections:\nqciToAppCIImages:\n  a/b:c: @{namespace: a}', /sets namespace/],
  ['name for app.ci', 'sections:\nqciToAppCIImages:\n  @a_b/b:c: {}', /cannot be an ImageStream tag/],
  ['no namespace of ART', 'sections:\nartImages:\n- @name: ^a$', /namespace of artImages\[0\] is not set/],
  ['no name of ART', 'sections:\nartImages:\n- @namespace: a', /name of artImages\[0\] is not set/],
  ['pattern of ART', 'sections:\nartImages:\n- {namespace: a, name: @"("}', /is not a regular expression/],
  ['map for a list', 'sections:\nartImages:\n  @a: b', /artImages is not a list/],
  ['ignored without a source', 'sections:\nignoredSources:\n- @reason: x', /for the source of ignored/],
  ['merge key', '  a/b:c: &x {image: quay.io/a/b:c}\n  a/b:d: {@<<: *x}', /a merge key/],
  ['alias of nothing', '  a/b:c: @*x', /the alias \*x stands for nothing/],
  ['empty entry', '  a/b:c: @~', /for the source of .* not set/],
  [
    'half a digest for app.ci',
    'sections:\nqciToAppCIImages:\n  a/b:c: {image: @"quay.io/openshift/ci@sha256:abc"}',
    /where a digest belongs/,
  ],
  ...spellingsOfDockerHub.map(
    (image) => [image, `  @a/b:c: {image: "${image}"}`, /is from docker\.io/] as const,
  ),
]

/** The text without the `@` of the place, and the place. */
export const split = (marked: string): { readonly text: string; readonly position: Position } => {
  // A digest has an @ of its own.
  const offset = marked.search(/@(?!sha256)/)
  const before = marked.slice(0, offset).split('\n')
  return {
    text: marked.slice(0, offset) + marked.slice(offset + 1),
    position: { line: before.length, column: `${before.at(-1)}`.length + 1 },
  }
}
