import type { KubernetesObject } from '../../src/sandbox/app-ci/rbac.ts'

/** The part of OpenShift's type that the proxy reads. Other fields of a status are stored as well. */
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
            // In the spelling of client-node.
            properties: { status: { type: 'object', x_kubernetes_preserve_unknown_fields: true } },
          },
        },
      },
    ],
  },
}
