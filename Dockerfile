# Builds the image from source. `deploy/image/build` makes the same image from the
# static binary, without a registry.
#
#   docker build --tag claude-grpc .

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
# Which SDKs of clouds it has: '' for none, `aws,kms` for those of AWS.
ARG FEATURES=clouds
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    deploy/build-static "${FEATURES}" && \
    deploy/image/root target/x86_64-unknown-linux-gnu/release/claude-grpc /image

FROM scratch
COPY --from=build /image /
# A number, because Kubernetes cannot verify that a name is not root.
USER 65532:65532
EXPOSE 50051
# SIGTERM starts the drain.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/claude-grpc"]
CMD ["serve", "--listen", "0.0.0.0:50051"]
