# The S3 server, versitygw (Apache-2.0): buckets are folders below /data.
ARG GO_VERSION=1.26
FROM golang:${GO_VERSION}-bookworm AS build
ARG VERSITYGW_VERSION=v1.8.0
RUN CGO_ENABLED=0 go install github.com/versity/versitygw/cmd/versitygw@${VERSITYGW_VERSION}

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin s3 \
    && install -d -o s3 -g s3 /data
COPY --from=build /go/bin/versitygw /usr/local/bin/versitygw
USER 10001:10001
EXPOSE 7070
HEALTHCHECK --interval=5s --timeout=3s --retries=10 \
    CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:7070/health"]
ENTRYPOINT ["versitygw"]
CMD ["--port", ":7070", "--health", "/health", "posix", "/data"]
