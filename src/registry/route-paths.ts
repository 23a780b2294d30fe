/** The paths of the registry API that this proxy serves. They are also the values of the label `route` of the metrics. */
const repository = '/v2/:namespace/:name'

export const routePaths = {
  ping: '/v2/',
  pingWithoutSlash: '/v2',
  token: '/v2/auth',
  manifests: `${repository}/manifests/:reference`,
  blobs: `${repository}/blobs/:digest`,
  referrers: `${repository}/referrers/:digest`,
  tags: `${repository}/tags/list`,
  /** Names that QCI cannot have, and paths that are not served. */
  others: '/v2/*',
} as const

/** The paths of explanations, which serve no image. */
export const explanationPaths = { access: '/access', page: '/' } as const

/** The mirror's queue, with `--mirror-url`. */
export const mirrorPaths = { list: '/mirrors', images: '/mirrors/*' } as const
