import type { KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'

/** As much of OpenShift's type as the proxy reads; whatever else is in a status is kept. */
export const definition: KubernetesObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'imagestreams.image.openshift.io' },
  spec: {
    group: 'image.openshift.io',
    scope: 'Namespaced',
    names: {
      plural: 'imagestreams',
      singular: 'imagestream',
      kind: 'ImageStream',
      listKind: 'ImageStreamList',
    },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            // as client-node spells it
            properties: { status: { type: 'object', x_kubernetes_preserve_unknown_fields: true } },
          },
        },
      },
    ],
  },
}
