# 3.11 to 3.13 all run it. 3.11 is what speed and memory were measured with, and is supported until October 2027.
FROM python:3.11-slim AS packages
# Only for a network with its own package index: docker build --build-arg PIP_INDEX_URL=...
ARG PIP_INDEX_URL
# A model at an address such as s3://bucket/model.bin: docker build --build-arg CATEGORIES="packages remote"
ARG CATEGORIES=packages
ENV PIPENV_VENV_IN_PROJECT=1
WORKDIR /app
RUN pip install --no-cache-dir pipenv==2026.10.3
COPY Pipfile Pipfile.lock ./
RUN pipenv sync --categories "$CATEGORIES"

# The trees in C. Only here a compiler is needed.
FROM python:3.11 AS trees
WORKDIR /app
COPY fairmeter fairmeter
RUN python fairmeter/models/runtime/build.py

FROM node:24-slim AS scripts
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts

FROM python:3.11-slim
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
RUN useradd --system --uid 10001 --home-dir /app fairmeter
COPY --from=packages /app/.venv .venv
COPY gunicorn.conf.py predict.py features.py model.bin model.bin.sha256 ./
COPY data/alerts.toml data/alerts.toml
COPY data/validation/metrics.json data/validation/metrics.json
COPY fairmeter fairmeter
COPY --from=trees /app/fairmeter/models/runtime/_trees.*.so fairmeter/models/runtime/
# Of the packages for pages, the files that fairmeter/web/pages serves and reads.
COPY --from=scripts /app/node_modules/echarts/dist/echarts.common.min.js node_modules/echarts/dist/
COPY --from=scripts /app/node_modules/world-atlas/countries-10m.json node_modules/world-atlas/
# By number, so that a cluster can see that it is not root.
USER 10001
EXPOSE 9696
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 9696), timeout=4); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
CMD ["gunicorn", "--bind", "0.0.0.0:9696", "predict:app"]
