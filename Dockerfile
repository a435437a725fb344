# Worker and collector, alone: locked dependencies, no compiler, no package manager's leftovers, no root.
# Its root file system may be read-only; all it writes lies in /var/lib/sessionizer.

FROM rust:1.95-slim-bookworm AS rust


FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build

# The dependencies first: they change more seldom than the code.
COPY requirements-build.lock requirements-run.lock ./
RUN python -m venv /opt/sessionizer \
 && /opt/sessionizer/bin/pip install --require-hashes -r requirements-run.lock \
 && pip install --require-hashes -r requirements-build.lock

# The compiler and a linker for it stay in this stage; Python's full image would have the linker, too.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY --from=rust /usr/local/rustup /usr/local/rustup
COPY --from=rust /usr/local/cargo /usr/local/cargo
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:$PATH

COPY LICENSE README.md pyproject.toml ./
COPY sessionizer_entry.py ./
COPY native native
COPY worker worker
RUN python native/install.py --wheel dist \
 && pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/sessionizer/bin/pip install --no-deps --no-index dist/*.whl \
 && /opt/sessionizer/bin/pip uninstall --yes pip setuptools


FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/sessionizer --create-home sessionizer
COPY --from=build /opt/sessionizer /opt/sessionizer
COPY config /etc/sessionizer
ENV PATH=/opt/sessionizer/bin:$PATH PYTHONUNBUFFERED=1
USER sessionizer

# Relative directories of the configuration lie on the volume: state/ by default.
WORKDIR /var/lib/sessionizer
VOLUME /var/lib/sessionizer

# The worker touches the file while it makes progress. Two misses in a row and it is called unhealthy; what
# `topics create` and the like are meanwhile does not matter, they end by themselves.
ENV SESSIONIZER_HEALTH_FILE=/var/lib/sessionizer/health
HEALTHCHECK --interval=15s --timeout=10s --start-period=90s --retries=2 CMD ["sessionizer", "health"]

# Of `collect`, whose probe is `sessionizer collect health`: collect.listen names the address (default: loopback).
EXPOSE 8080

# In exec form the worker gets the engine's SIGTERM itself. It finishes its transactions within 10 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["sessionizer"]
CMD ["run"]
