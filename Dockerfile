# The agent's image: docker build -t REGISTRY/sockaudit:0.1.0 .
# Every stage is of one base, so the environment made in the first runs in the last.
ARG PYTHON=docker.io/library/python:3.13-slim

# Empty unless --build-context wheels=DIR brings wheels for a build without a package index.
FROM scratch AS wheels

FROM ${PYTHON} AS dependencies
ARG PIP_NO_INDEX
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
WORKDIR /src
# The project is nothing but its version here, so that this layer is made anew only when pyproject.toml or the version changes.
COPY pyproject.toml hatch_build.py ./
COPY auditor/__init__.py auditor/__init__.py
RUN touch README.md LICENSE
# kubernetes.aio is the client's asyncio twin: half of the package's size, and nothing imports it.
# Unchecked bytecode: nothing in an image changes after it is built, so the agent need not stat its sources at start.
RUN --mount=type=bind,from=wheels,target=/wheels \
    python3 -m venv /opt/python \
    && /opt/python/bin/pip install --quiet --find-links=/wheels . \
    && /opt/python/bin/pip uninstall --quiet --yes sockaudit \
    && rm -r /opt/python/lib/python3*/site-packages/kubernetes/aio \
    && /opt/python/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/python/lib

FROM ${PYTHON} AS programs
RUN apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends clang libbpf-dev llvm
WORKDIR /src
COPY auditor auditor
RUN python3 -m auditor.kernel.bpf.compile

FROM dependencies AS project
ARG PIP_NO_INDEX
COPY auditor auditor
COPY --from=programs /src/auditor/kernel/bpf/sockaudit.bpf.o auditor/kernel/bpf/
RUN --mount=type=bind,from=wheels,target=/wheels \
    /opt/python/bin/pip install --quiet --find-links=/wheels --no-deps --target=/opt/sockaudit . \
    && /opt/python/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/sockaudit

FROM ${PYTHON}
LABEL org.opencontainers.image.title=sockaudit \
      org.opencontainers.image.description="Which shared limit of a Kubernetes node runs out next, and which pod takes it" \
      org.opencontainers.image.licenses=Apache-2.0
RUN apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends libbpf1 && rm -rf /var/lib/apt/lists/*
# Two layers: a new version of the agent is a pull of the small one.
COPY --from=dependencies /opt/python /opt/python
COPY --from=project /opt/sockaudit /opt/sockaudit
ENV PATH=/opt/sockaudit/bin:$PATH PYTHONPATH=/opt/sockaudit PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# It stays root: capabilities added to another user would not be effective, and without them other processes cannot be read.
ENTRYPOINT ["sockaudit"]
CMD ["agent"]
