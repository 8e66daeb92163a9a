"""`arriero ask` knows its own gateway by the gateway's certificate, whatever name stands in it, and no other one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from certificates import Authority
from running_gateway import entry, gateway, run
from scripted_server import ScriptedServer, json_response, says

from arriero.errors import ArrieroError
from arriero.observe import asking

CHAT = {"model": "llama2", "messages": []}


def test_only_the_gateway_with_that_certificate_is_asked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours, others = authority.issue("llm.example.com"), authority.issue("127.0.0.1")

    def asked(url: str, certificate: str) -> list[bool] | str:
        try:
            return [line["done"] for line, _ in asking.stream(url, CHAT, certificate=Path(certificate))]
        except ArrieroError as error:
            return str(error)

    async def story() -> None:
        server = await ScriptedServer(plays={"/api/chat": says(json_response({"done": True}))}).start()
        async with gateway(tmp_path, entry(server, "a"), tls_certificate=ours[0], tls_key=ours[1]) as running:
            url = f"https://{running.settings.listen}"
            assert await asyncio.to_thread(asked, url, ours[0]) == [True]
            refused = await asyncio.to_thread(asked, url, others[0])
            assert "certificate verify failed" in refused
        assert sum(heard.path == "/api/chat" for heard in server.heard) == 1
        await server.stop()

    run(story())
