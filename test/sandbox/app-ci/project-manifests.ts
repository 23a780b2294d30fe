/** The RBAC that this project ships: what the proxy needs, and the examples of who may pull. */
import { resolve } from 'node:path'
import { readManifests } from '../../../src/sandbox/app-ci/rbac.ts'

export const projectDirectories = ['rbac', 'examples'].map((folder) =>
  resolve(import.meta.dirname, '../../../manifests', folder),
)

export const projectManifests = (await Promise.all(projectDirectories.map(readManifests))).flat()

/** As if a team had lost its binding. */
export const withoutTeam = projectManifests.filter(({ metadata }) => metadata?.namespace !== 'my-team')
