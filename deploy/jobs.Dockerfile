# score.py and train.py beside the service's image: docker build -f deploy/jobs.Dockerfile -t fairmeter-jobs .
FROM python:3.11-slim AS packages
ARG PIP_INDEX_URL
ENV PIPENV_VENV_IN_PROJECT=1
WORKDIR /app
RUN pip install --no-cache-dir pipenv==2026.10.3
COPY Pipfile Pipfile.lock ./
RUN pipenv sync --categories "packages train"

FROM python:3.11 AS trees
WORKDIR /app
COPY fairmeter fairmeter
RUN python fairmeter/models/runtime/build.py

FROM python:3.11-slim
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
RUN useradd --system --uid 10001 --home-dir /app fairmeter
COPY --from=packages /app/.venv .venv
COPY gunicorn.conf.py predict.py features.py train.py score.py model.bin model.bin.sha256 ./
COPY data/alerts.toml data/alerts.toml
COPY data/validation/metrics.json data/validation/metrics.json
COPY fairmeter fairmeter
COPY --from=trees /app/fairmeter/models/runtime/_trees.*.so fairmeter/models/runtime/
USER 10001
ENTRYPOINT ["python"]
CMD ["score.py", "--help"]
