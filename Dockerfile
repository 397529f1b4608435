# One image for head, workers, `raygp watch` and `raygp serve`: docker build -t raygp .
# Python and Ray are those of cluster.yaml; everything else is what constraints.txt says. On GPUs:
#   docker build --build-arg BASE=rayproject/ray:2.60.0-py311-gpu -t raygp:gpu .
ARG BASE=rayproject/ray:2.60.0-py311-cpu
FROM ${BASE}

# Extras of pyproject.toml. speech needs libsndfile, which comes with its package.
ARG EXTRAS=s3,serve,speech,text,timm

WORKDIR /home/ray/raygp
# What seldom changes comes first, so that its layers are kept.
COPY --chown=ray:users constraints.txt pyproject.toml README.md LICENSE ./
COPY --chown=ray:users raygp/ raygp/
# --no-cache-dir: wheels would stay in the layer. Ray itself is there already, in the version of the constraints.
RUN pip install --no-cache-dir -c constraints.txt ".[${EXTRAS}]" \
    && raygp --version

# KubeRay and the base image run as this user, too; no process of raygp needs root.
USER ray
WORKDIR /home/ray
ENV RAY_USAGE_STATS_ENABLED=0 PYTHONUNBUFFERED=1
# SIGTERM lets an update store a checkpoint: docker stop -t 900.
STOPSIGNAL SIGTERM
# No ENTRYPOINT: KubeRay starts `ray start` with a command of its own.
CMD ["raygp", "--help"]
