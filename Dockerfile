# Every image of the project. Targets: operator, probes, probes-gpu, demo-server.
#
# BASE is any Debian-like image with python3 (3.11 or newer), venv and pip. Both stages of a target
# start from it, so that a virtual environment made in one runs in the other. Nothing here says where
# packages come from: pip's own configuration does.
ARG BASE=python:3.11-slim-bookworm

# ---- what every builder starts from: a helper that makes /venv without pip in it
FROM ${BASE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv --without-pip /venv
WORKDIR /src

# ---- what every image ends on: a numeric user without rights, no shell history, no packages
FROM ${BASE} AS runtime
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 65532:65532

# ---- the project's own wheel
FROM builder AS wheel
COPY requirements/build.txt requirements/
RUN python3 -m pip --python /venv/bin/python install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator/infertune operator/infertune
COPY probes/infertune_probes probes/infertune_probes
RUN /venv/bin/hatchling build -t wheel -d /wheels

FROM builder AS operator-venv
COPY requirements/operator.txt requirements/
RUN python3 -m pip --python /venv/bin/python install --require-hashes -r requirements/operator.txt
COPY --from=wheel /wheels /wheels
RUN python3 -m pip --python /venv/bin/python install --no-deps --no-index /wheels/*.whl

FROM runtime AS operator
COPY --from=operator-venv /venv /venv
CMD ["python", "-m", "infertune"]

# ---- probes: the code is copied as it is, so that a change of the operator leaves this image alone
FROM builder AS probes-venv
COPY requirements/probes.txt requirements/
RUN python3 -m pip --python /venv/bin/python install --require-hashes -r requirements/probes.txt

FROM runtime AS probes
ENV PYTHONPATH=/app
COPY --from=probes-venv /venv /venv
COPY probes/infertune_probes /app/infertune_probes
CMD ["python", "-m", "infertune_probes.gpu"]

FROM builder AS probes-gpu-venv
COPY requirements/probes-gpu.txt requirements/
RUN python3 -m pip --python /venv/bin/python install --require-hashes -r requirements/probes-gpu.txt

FROM runtime AS probes-gpu
ENV PYTHONPATH=/app
COPY --from=probes-gpu-venv /venv /venv
COPY probes/infertune_probes /app/infertune_probes
CMD ["python", "-m", "infertune_probes.gpu"]

# ---- demo server: the model is made here, from a seed; only the wanted variant enters the image
FROM builder AS demo-model
COPY requirements/demo-model.txt requirements/
RUN python3 -m pip --python /venv/bin/python install --require-hashes -r requirements/demo-model.txt
COPY examples/demo_model demo_model
ARG VARIANT=fp32
RUN /venv/bin/python -m demo_model --out /models --variant "${VARIANT}" \
 && mv "/models/${VARIANT}.onnx" /models/model.onnx

FROM builder AS demo-server-venv
COPY requirements/demo-server.txt requirements/
RUN python3 -m pip --python /venv/bin/python install --require-hashes -r requirements/demo-server.txt

FROM runtime AS demo-server
ENV PYTHONPATH=/app MODEL_PATH=/model/model.onnx PORT=8080
COPY --from=demo-server-venv /venv /venv
COPY --from=demo-model /models/model.onnx /model/model.onnx
COPY examples/demo_server /app/demo_server
EXPOSE 8080
CMD ["python", "-m", "demo_server"]
