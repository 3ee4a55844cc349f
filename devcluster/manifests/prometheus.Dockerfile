# Prometheus from the distribution's package on the base image of this cluster.
ARG BASE
FROM ${BASE}
COPY prometheus /usr/bin/prometheus
USER 65534:65534
ENTRYPOINT ["/usr/bin/prometheus"]
