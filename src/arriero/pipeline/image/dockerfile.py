"""The Dockerfile of a recipe, as text.

Stages: `base`; `server` (Ollama alone); one `model-N` a model; `sidecar` (arriero and its packages); `settled` (the
user and the folders); the image, copied together from them. Whatever is copied there was given one owner and time in
its own stage, and models come before programs: a changed setting, and a new arriero, leave their layers as they were.

It is written for the BuildKit that every Docker Engine since 20.10 has built in, so no newer syntax is used: a
`# syntax=` line would have to be fetched. With BuildKit 0.13 or newer `--output rewrite-timestamp=true` and
SOURCE_DATE_EPOCH make the rest of the image the same in every build, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from arriero.pipeline.image.bake import EPOCH
from arriero.pipeline.image.recipe import LABELS, Baked, Recipe
from arriero.plan.wanted import sidecar
from arriero.plan.wanted.storage import USER
from arriero.spec.image import digest_of

HOME = "/home/ollama"
KEYS = f"{HOME}/.ollama"
MODELS = "/models"
PORT = 11434

_NEEDS = """\
# hadolint ignore=DL3008
RUN python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "arriero: the base image has no Python 3.11")'; \\
    if ! command -v tini >/dev/null; then \\
      apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/* /var/log/*; \\
    fi; command -v tini >/dev/null"""

_SETTLED = f"""\
FROM base AS settled
RUN mkdir -p /settled/etc /settled{KEYS} /settled{MODELS}; \\
    cp -p /etc/passwd /etc/group /settled/etc/; \\
    echo 'ollama:x:{USER}:{USER}:Ollama:{HOME}:/usr/sbin/nologin' >> /settled/etc/passwd; \\
    echo 'ollama:x:{USER}:' >> /settled/etc/group; \\
    chown -R {USER}:{USER} /settled{HOME}; find /settled -exec touch -h -d @{EPOCH} {{}} +"""

_INSTALL = "-m pip --python /opt/arriero/bin/python install --no-compile --no-cache-dir --no-deps --require-hashes"


def dockerfile(recipe: Recipe) -> str:
    """The whole text; the same recipe gives the same text."""
    head = [
        f"# The image of {recipe.service}, made from its spec. Build it here:",
        f"#   DOCKER_BUILDKIT=1 docker build --tag {recipe.image.name.partition('@')[0]} .",
        "# Each MODEL_N_DIGEST, if given, is the digest that the model's manifest must have.",
    ]
    stages = [_base(recipe), _SETTLED, _server(recipe), *_models(recipe), _sidecar(recipe)]
    return "\n\n".join(["\n".join(head), *stages, "\n".join(_image(recipe))]) + "\n"


def labels(recipe: Recipe) -> dict[str, str]:
    """What is known without a build; revision and models' digests are arguments of it."""
    return {
        "org.opencontainers.image.title": recipe.service,
        "org.opencontainers.image.description": "Ollama with its models, and arriero's sidecar",
        "org.opencontainers.image.base.name": recipe.image.base.partition("@")[0],
        "org.opencontainers.image.base.digest": digest_of(recipe.image.base),
        f"{LABELS}.variant": recipe.image.variant,
    }


def _base(recipe: Recipe) -> str:
    return f'FROM {recipe.image.base} AS base\nSHELL ["/bin/sh", "-eu", "-c"]\n{_NEEDS}'


def _server(recipe: Recipe) -> str:
    """Ollama's program, and of its libraries those that the variant needs."""
    settle = f"find /server -exec touch -h -d @{EPOCH} {{}} +"
    if recipe.image.ollama_file:
        return f"FROM base AS server\nCOPY --chmod=755 ollama /server/usr/bin/ollama\nRUN {settle}"
    libraries = "cp -a /from/lib/ollama/. /server/usr/lib/ollama/"
    if recipe.image.variant == "cpu":  # those of GPUs have folders of their own
        libraries = "find /from/lib/ollama -maxdepth 1 ! -type d -exec cp -P -t /server/usr/lib/ollama {} +"
    return f"""\
FROM {recipe.image.ollama} AS ollama
FROM base AS server
RUN --mount=type=bind,from=ollama,source=/usr,target=/from \\
    mkdir -p /server/usr/bin /server/usr/lib/ollama; cp /from/bin/ollama /server/usr/bin/; \\
    if [ -d /from/lib/ollama ]; then {libraries}; fi; \\
    chmod 755 /server/usr/bin/ollama; {settle}"""


def _models(recipe: Recipe) -> list[str]:
    stages = [each.stage for each in recipe.models]
    return [_model(each, stages[:index]) for index, each in enumerate(recipe.models)]


def _wrapped(options: Sequence[str]) -> str:
    return " \\\n    ".join(options)


def _model(each: Baked, earlier: Sequence[str]) -> str:
    ways = [f"--pull {each.source.name}"] if each.is_pulled else ["--create /model"]
    ways += ["--insecure"] if each.model.insecure else []
    mounts = ["--mount=type=cache,id=arriero-models,target=/cache,sharing=locked"]
    mounts += [] if each.is_pulled else [f"--mount=type=bind,source={each.stage},target=/model"]
    # Files that an earlier layer has (weights of the same base model) are not put into this one again.
    mounts += [f"--mount=type=bind,from={stage},source=/layer,target=/before/{stage}" for stage in earlier]
    return f"""\
FROM server AS {each.stage}
ARG {each.digest_argument}={each.model.digest or ""}
COPY bake.py /bake.py
RUN {_wrapped(mounts)} \\
    PATH=/server/usr/bin:"$PATH" python3 /bake.py --name {each.name} --manifest {each.place.path} \\
    {" ".join(ways)} --digest "${each.digest_argument}\""""


def _sidecar(recipe: Recipe) -> str:
    """A virtual environment of its own; the packages are those of the lock, by their hashes."""
    mounts, index = ["--mount=type=bind,source=sidecar,target=/sidecar"], ""
    if recipe.image.wheels:
        mounts.append("--mount=type=bind,source=wheels,target=/wheels")
        index = " --no-index --find-links /wheels"
        pip = 'set -- /wheels/pip-*.whl; export PYTHONPATH="$1"'
    else:
        # A private index is named in a pip.conf that never gets into a layer: --secret id=pip_conf,src=pip.conf
        mounts.append("--mount=type=secret,id=pip_conf,target=/etc/pip.conf")
        pip = (
            "python3 -m pip --version || { echo 'arriero: the base image has no pip; write image.wheels'; exit 1; } >&2"
        )
    return f"""\
FROM base AS sidecar
RUN {_wrapped(mounts)} \\
    {pip}; python3 -m venv --without-pip /opt/arriero; \\
    python3 {_INSTALL}{index} -r /sidecar/requirements.lock; \\
    python3 {_INSTALL.replace(" --require-hashes", "")} --no-index /sidecar/arriero-*.whl; \\
    /opt/arriero/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/arriero/lib; \\
    mkdir -p /programs/opt; mv /opt/arriero /programs/opt/; find /programs -exec touch -h -d @{EPOCH} {{}} +"""


def _image(recipe: Recipe) -> Iterator[str]:
    yield "FROM base"
    yield "COPY --from=settled /settled/ /"
    for each in recipe.models:
        yield f"COPY --from={each.stage} --chown=0:0 /layer/ /"
    yield "COPY --from=server --chown=0:0 /server/ /"
    yield "COPY --from=sidecar --chown=0:0 /programs/ /"
    yield "ENV " + " \\\n    ".join(f"{name}={value}" for name, value in _environment(recipe).items())
    yield "LABEL " + " \\\n      ".join(f"{name}={json.dumps(text)}" for name, text in labels(recipe).items())
    yield "ARG SOURCE"
    yield "ARG REVISION"
    yield f"ARG MODELS={json.dumps(' '.join(each.name for each in recipe.models))}"
    yield 'LABEL org.opencontainers.image.source="$SOURCE" \\'
    yield '      org.opencontainers.image.revision="$REVISION" \\'
    yield f'      {LABELS}.models="$MODELS"'
    yield f'VOLUME ["/tmp", "{KEYS}"]'
    yield "# By its number, so that a host that does not know the user `ollama` sees that it is not root."
    yield f"USER {USER}:{USER}\nEXPOSE {PORT}"
    yield "HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \\"
    yield '  CMD ["python3", "-m", "arriero.gateway.sidecar.readiness"]'
    yield 'ENTRYPOINT ["tini", "--"]'
    yield 'CMD ["arriero", "gateway", "sidecar", "--with-ollama"]'


def _environment(recipe: Recipe) -> dict[str, str]:
    """Both ways of running read it: two containers are told the rest by the plan, one finds it here."""
    settings = {
        "PATH": "/opt/arriero/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": HOME,
        "OLLAMA_MODELS": MODELS,
        "OLLAMA_NOPRUNE": "1",
        "ARRIERO_LISTEN": f"0.0.0.0:{PORT}",
        "ARRIERO_OLLAMA_ADDRESS": sidecar.OLLAMA_ADDRESS,
        "ARRIERO_MODELS": ",".join(each.name for each in recipe.models),
        **recipe.settings,
    }
    if recipe.image.variant == "cuda":
        settings |= {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
    return settings
