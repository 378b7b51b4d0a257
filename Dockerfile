# docker build -t registry.example/voxmill:0.1.0 .
# docker run --rm -v "$PWD:/data" registry.example/voxmill:0.1.0 build \
#   /app/examples/instruct_s2s.yaml --output /data/corpus
#
# The base is pinned by version; give its digest to have the very same bytes for ever:
#   docker build --build-arg PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:... .
# What is installed is pinned by constraints.txt. Less in it: --build-arg EXTRAS=[s3,llm]
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG EXTRAS=[s3,llm,metrics,cluster]
RUN apt-get update \
 && apt-get install --yes --no-install-recommends make libflite1 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY Makefile pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY transforms transforms
COPY pipelines pipelines
COPY jobs jobs
COPY trainers trainers
RUN PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 make setup EXTRAS="${EXTRAS}"
COPY examples examples

FROM ${PYTHON_IMAGE}
# flite speaks; KubeRay's probes of a Ray pod call wget
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libflite1 wget \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 voxmill \
 && echo 'PATH=/app/.venv/bin:$PATH' > /etc/profile.d/voxmill.sh
# KubeRay starts Ray in a login shell, for which that file keeps the PATH below
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /home/voxmill
USER 10001:10001
ENTRYPOINT ["voxmill"]
CMD ["--help"]
