"""A key limited to certain models knows of no others."""

from __future__ import annotations

from pathlib import Path

from keyed import bearer, made, written
from running_gateway import entry, gateway, run
from scripted_server import Heard, ScriptedServer, json_response

NOT_FOR_MISTRAL = "this key may not use the model 'mistral:latest'"


async def play(heard: Heard) -> None:
    await heard.send(json_response({"template": ""}))


def test_a_key_for_certain_models_sees_no_others(tmp_path: Path) -> None:
    (narrow, narrow_key), (wide, wide_key) = made("narrow", models=("LLama2",)), made("wide", role="viewer")

    async def story() -> None:
        server = await ScriptedServer(("llama2:latest", "mistral:latest"), plays={"/api/show": play}).start()
        server.resident = server.models
        file = written(tmp_path, narrow_key, wide_key)
        async with gateway(tmp_path, entry(server, "one"), keys_file=file) as running:
            for path, listed, name in (
                ("/api/tags", "models", "name"),
                ("/api/ps", "models", "name"),
                ("/v1/models", "data", "id"),
            ):
                seen = {}
                for text in (narrow, wide):
                    answer = (await running.ask("GET", path, None, bearer(text))).json()
                    seen[text] = {model[name] for model in answer[listed]}  # type: ignore[index]
                assert seen == {narrow: {"llama2:latest"}, wide: {"llama2:latest", "mistral:latest"}}, path
            for body in ({"model": "mistral"}, {"name": "mistral"}):
                shown = await running.ask("POST", "/api/show", body, bearer(narrow))
                assert (shown.status, shown.json()) == (403, {"error": NOT_FOR_MISTRAL})
            told = await running.ask("GET", "/v1/models/mistral", None, bearer(narrow))
            assert (told.status, told.json()["error"]["message"]) == (403, NOT_FOR_MISTRAL)  # type: ignore[index]
            assert (await running.ask("POST", "/api/show", {"model": "llama2"}, bearer(narrow))).status == 200
        assert not [heard for heard in server.heard if heard.path == "/v1/models/mistral"]
        await server.stop()

    run(story())
