# The release that package-lock.json has for tests, so that what runs is what was tested. The image of a release is built from a digest, because a
# tag can be moved: .ci/image looks it up and hands it over as BASE.
ARG BASE=docker.io/library/node:26.10.0-slim
FROM ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# types and source maps are half of the bytes; Node.js reads neither
RUN npm ci --omit=dev --ignore-scripts \
    && find node_modules -type f -regex '.*\(\.d\.[cm]?ts\|\.map\)' -delete \
    && rm package-lock.json .npmrc
COPY bin ./bin
COPY src ./src
# for the sandbox; serve reads neither
COPY manifests/rbac ./manifests/rbac
COPY manifests/examples ./manifests/examples
# The compile cache of the programs: a start with it takes half of the CPU. Node.js looks it up by its release, the user and the paths of the files.
RUN mkdir node_modules/.cache && chown 1001 node_modules/.cache
USER 1001
RUN node --disable-sigusr1 bin/quay-proxy.js sandbox --check && chmod -R a+rX node_modules/.cache

FROM ${BASE}
LABEL org.opencontainers.image.title=quay-proxy org.opencontainers.image.licenses=Apache-2.0
# nothing in the image installs packages
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /opt/yarn-* /usr/local/bin/yarn* \
    && ln -s /app/bin/quay-proxy.js /usr/local/bin/quay-proxy \
    && ln -s /app/bin/ci-images-mirror.js /usr/local/bin/ci-images-mirror
ENV NODE_ENV=production
WORKDIR /app
# Attack: a process that is taken over would write code into the cache that its next start runs. The files are those of root.
COPY --from=build --chown=0:0 /app ./
USER 1001
# nobody but the container itself reaches the loopback of the default
ENV QUAY_PROXY_LISTEN_ADDR=0.0.0.0:8400
EXPOSE 8400
# SIGUSR1 would open an inspector that reads every secret.
ENTRYPOINT ["node", "--disable-sigusr1", "/app/bin/quay-proxy.js"]
