# The release that package-lock.json has for tests, so that what runs is what was tested. To hold it against a tag that is moved, put
# the digest behind it: `skopeo inspect --format '{{.Digest}}' docker://docker.io/library/node:26.10.0-slim`
FROM node:26.10.0-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:26.10.0-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY src ./src
# for the sandbox; serve reads neither
COPY manifests/rbac ./manifests/rbac
COPY manifests/examples ./manifests/examples
USER 1001
# nobody but the container itself reaches the loopback of the default
ENV QUAY_PROXY_LISTEN_ADDR=0.0.0.0:8400
EXPOSE 8400
# SIGUSR1 would open an inspector that reads every secret.
ENTRYPOINT ["node", "--disable-sigusr1", "/app/src/main.ts"]
