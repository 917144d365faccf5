# Builds the agent, then an image with nothing in it but the agent and the libraries it loads.
#
#   docker build -t sluice .
#   docker run --rm -p 44444:44444 -v "$PWD/agent.conf:/etc/sluice/agent.conf:ro" sluice

FROM debian:bookworm AS build
WORKDIR /src
# The packages first: they change less often than the code.
COPY dev .
RUN ./dev setup build && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release -DSLUICE_BUILD_TESTS=OFF -DCMAKE_INSTALL_PREFIX=/usr \
 && cmake --build build/release --target sluice \
 && DESTDIR=/image cmake --install build/release --strip

FROM debian:bookworm-slim
# runtime-packages: tests/tools/dockerfile_test.py holds this list against what the binary loads.
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      libbz2-1.0 \
      libcctz2 \
      libcurl4 \
      libfmt9 \
      libgssapi-krb5-2 \
      libkrb5-3 \
      liblz4-1 \
      libpcre2-8-0 \
      librdkafka1 \
      librocksdb7.8 \
      libsimdjson14 \
      libsnappy1v5 \
      libspdlog1.10 \
      libssl3 \
      libxxhash0 \
      libyaml-cpp0.7 \
      libzstd1 \
      tzdata \
      zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/sluice --create-home --shell /usr/sbin/nologin sluice
COPY --from=build /image/usr/bin/ /usr/bin/
COPY --from=build /image/usr/share/sluice/ /usr/share/sluice/
COPY packaging/docker/agent.conf /etc/sluice/agent.conf

USER sluice
WORKDIR /var/lib/sluice
ENV STATE_DIRECTORY=/var/lib/sluice
VOLUME /var/lib/sluice
EXPOSE 44444 41414
STOPSIGNAL SIGTERM
# The agent is process 1 and gets its signals itself: no shell in between. Its log is the container's.
ENTRYPOINT ["/usr/bin/flume-ng"]
CMD ["agent", "--name", "agent", "--conf", "/etc/sluice", "--conf-file", "/etc/sluice/agent.conf", \
     "-Dflume.root.logger=INFO,console", "-Dflume.monitoring.type=http", "-Dflume.monitoring.port=41414"]
