"""A real Ollama serves what was laid out for it: models of the image and of the storage, as links and as copies."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from ollama_servers import REAL, make_models, servers

from arriero.gateway.stored.lay import Layout, lay

pytestmark = pytest.mark.skipif(not REAL, reason="ARRIERO_OLLAMA names no Ollama")


@pytest.mark.parametrize("copies", [False, True], ids=["linked", "copied"])
def test_an_ollama_reads_what_was_laid_out(tmp_path: Path, copies: bool) -> None:
    """Linked, the image has the other models; copied, there is nothing but the copy."""
    store = make_models(tmp_path)
    layout = Layout(tmp_path / "image" if copies else store, store, tmp_path / "shelf", ("open",), copies)
    list(lay(layout))
    assert any(path.is_symlink() for path in layout.shelf.rglob("*")) is not copies
    with servers(tmp_path, "one", is_real=True, OLLAMA_MODELS=str(layout.shelf), OLLAMA_NOPRUNE="1") as (server,):
        url = f"http://127.0.0.1:{server.port}"
        names = {model["name"] for model in httpx.get(f"{url}/api/tags").json()["models"]}
        assert names == ({"open:latest"} if copies else {"open:latest", "turns:latest", "shut:latest"})
        for name in names:
            asked = {"model": name, "prompt": "a", "stream": False, "options": {"num_predict": 3}}
            answer = httpx.post(f"{url}/api/generate", json=asked, timeout=60)
            assert answer.status_code == 200, answer.text
            assert answer.json()["eval_count"] > 0
