# docker build -t rag512 .          the committed index
# docker build --build-arg INDEX_URL=https://… --build-arg INDEX_SHA256=… -t rag512 .          a published one
FROM python:3.11.7-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
COPY requirements*.txt constraints.txt ./
ARG REQUIREMENTS=requirements.txt
RUN pip install -r "$REQUIREMENTS"
COPY app.py build_embeddings.py gunicorn.conf.py ./
COPY src src
COPY data data
ARG INDEX_URL=""
ARG INDEX_SHA256=""
RUN python build_embeddings.py fetch && python -m compileall -q src app.py gunicorn.conf.py

FROM python:3.11.7-slim-bookworm
RUN useradd --system --no-log-init --uid 10001 rag512
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
# The server writes nothing here; its scratch copy of the vectors is in /tmp.
USER 10001
ENV PATH=/venv/bin:$PATH PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/health' % os.environ['PORT'], timeout=4)"]
CMD ["sh", "-c", "exec gunicorn --bind 0.0.0.0:$PORT app:app"]
