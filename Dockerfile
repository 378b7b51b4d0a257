# docker build -t voxmill . && docker run --rm -v "$PWD:/data" voxmill build \
#   /app/examples/instruct_s2s.yaml --output /data/corpus
FROM python:3.11-slim-bookworm
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libflite1 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY transforms transforms
COPY pipelines pipelines
COPY jobs jobs
COPY trainers trainers
RUN pip install --no-cache-dir -c constraints.txt ".[s3,llm]"
COPY examples examples
RUN useradd --create-home voxmill
USER voxmill
ENTRYPOINT ["voxmill"]
CMD ["--help"]
