# Three images from one build, made from the top of the tree by envoy/docker-compose.yaml:
#   builder  the filter and the `tollgate` program
#   tool     `tollgate` alone: renders the configuration, plays the providers
#   gateway  Envoy with the filter
# Not run by the project's own tests, which have no container engine: they check the paths, and run the same commands outside.
ARG ENVOY_VERSION=1.40.0

FROM rust:1.95-bookworm AS builder
RUN rustup target add wasm32-unknown-unknown
WORKDIR /tollgate
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY tests tests
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/tollgate/target \
    cargo build --locked --package tollgate --profile native \
    && cargo build --locked --package tollgate-filter --target wasm32-unknown-unknown --release \
    && install -D target/native/tollgate /out/tollgate \
    && install -D -m 644 target/wasm32-unknown-unknown/release/tollgate_filter.wasm /out/tollgate.wasm

FROM debian:bookworm-slim AS tool
COPY --from=builder /out/tollgate /usr/local/bin/tollgate
# 101 is the user of Envoy's image: it must be able to read the secrets that are rendered with mode 0600.
RUN install -d -o 101 -g 101 /etc/tollgate /var/lib/tollgate
USER 101:101
ENTRYPOINT ["tollgate"]

FROM envoyproxy/envoy:v${ENVOY_VERSION} AS gateway
COPY --from=builder /out/tollgate.wasm /opt/tollgate/tollgate.wasm
USER 101:101
CMD ["envoy", "-c", "/etc/tollgate/envoy.yaml"]
