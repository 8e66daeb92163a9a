"""The official client pulls, creates, copies and deletes through the gateway, at two servers as if at one."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import ollama
import pytest
from keyed import made, written
from ollama_servers import REAL, Server, make_models, servers
from running_gateway import gateway, run

MAKER = Path(__file__).parents[2] / "benchmarks" / "tiny_gguf.py"
needs_real = pytest.mark.skipif(not REAL, reason="needs a real Ollama: ARRIERO_OLLAMA names one")


@pytest.mark.parametrize("is_real", [False, pytest.param(True, marks=needs_real)], ids=["engine", "ollama"])
def test_two_servers_change_together(tmp_path: Path, is_real: bool) -> None:
    text, key = made("root", role="admin")
    model = "open" if is_real else "llama2"
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    file = tmp_path / "tiny.gguf"
    if is_real:
        subprocess.run([sys.executable, str(MAKER), str(file)], check=True)
    else:
        file.write_bytes(b"weights" * 300_000)
    stores = [str(make_models(folder) if is_real else folder / "models") for folder in folders]
    with (
        servers(folders[0], "one", is_real=is_real, OLLAMA_MODELS=stores[0]) as (one,),
        servers(folders[1], "two", is_real=is_real, OLLAMA_MODELS=stores[1]) as (two,),
    ):
        both = one, two
        entries = [replace(server.entry, is_writable=True) for server in both]

        async def story() -> None:
            async with gateway(tmp_path, *entries, keys_file=written(tmp_path, key)) as running:
                url = f"http://{running.settings.listen}"
                client = ollama.Client(url, headers={"Authorization": f"Bearer {text}"})
                await asyncio.to_thread(change, client, model, file, both, is_real)

        run(story())


def change(client: ollama.Client, model: str, file: Path, both: tuple[Server, ...], is_real: bool) -> None:
    client.copy(model, "twin")
    assert held(both) == [True, True]
    created = list(client.create("child", from_="twin", system="Be brief.", stream=True))
    assert created[-1].status == "success"
    assert held(both, "child:latest") == [True, True]
    ollama.Client(f"http://{both[0].entry.address}").delete("twin")
    assert held(both) == [False, True]
    client.delete("twin")
    assert held(both) == [False, False]
    with pytest.raises(ollama.ResponseError, match="at target one: model 'twin' not found; at target two"):
        client.delete("twin")
    digest = client.create_blob(file)
    assert client.create_blob(file) == digest
    made = list(client.create("uploaded", files={file.name: digest}, stream=True))
    assert made[-1].status == "success"
    assert held(both, "uploaded:latest") == [True, True]
    away = "127.0.0.1:1/none/uploaded"
    client.copy("uploaded", away)
    deadline, why = time.monotonic() + 10, "not found"
    while "not found" in why and time.monotonic() < deadline:  # what was copied is known by the next look
        with pytest.raises(ollama.ResponseError) as caught:
            client.push(away, insecure=True)
        why = str(caught.value)
    assert re.match(r"at target (one|two): ", why)
    with pytest.raises(ollama.ResponseError, match=r"at target one: .+; at target two: .+"):
        client.pull("127.0.0.1:1/none/such", insecure=True)
    if not is_real:
        assert list(client.pull("qwen", stream=True))[-1].status == "success"
        assert held(both, "qwen:latest") == [True, True]


def held(both: tuple[Server, ...], name: str = "twin:latest") -> list[bool]:
    lists = [ollama.Client(f"http://{server.entry.address}").list().models for server in both]
    return [name in [model.model for model in models] for models in lists]
