# trueup in a container: an environment built once, run by a user without rights on a file system it cannot write.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY verifier verifier
COPY reconciler reconciler
COPY connectors connectors
COPY config config
COPY dashboards dashboards
COPY trueup trueup
RUN python -m venv /opt/trueup \
    && /opt/trueup/bin/pip install --no-cache-dir --constraint constraints.txt ".[kafka,mysql,binlog]"

FROM python:3.13-slim
LABEL org.opencontainers.image.title="trueup" \
      org.opencontainers.image.description="Proves that database replicas equal their leader while writes go on" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/trueup trueup \
    && install -d -o 10001 -g 10001 /var/lib/trueup
COPY --from=build /opt/trueup /opt/trueup
ENV PATH=/opt/trueup/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /var/lib/trueup
VOLUME /var/lib/trueup
EXPOSE 9187
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9187/livez', timeout=4)"]
ENTRYPOINT ["trueup"]
CMD ["run", "--config", "/etc/trueup/trueup.yaml"]
