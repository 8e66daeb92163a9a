"""Prometheus asks the gateway where the sidecars are."""

from __future__ import annotations

from pathlib import Path

from keyed import bearer, made, written
from running_gateway import entry, gateway, run
from running_sidecar import sidecar
from scripted_server import ScriptedServer

from arriero.control.messages import TargetEntry
from arriero.gateway.routing.target import Target
from arriero.gateway.telling.scraping import sidecars

PATH = "/metrics/targets"


def test_a_target_that_is_spoken_to_over_tls_is_scraped_so() -> None:
    target = Target(TargetEntry("a-1", "a", "https://10.0.0.7:11434", "standby", release=7))
    assert sidecars([target], "llm") == [
        {
            "targets": ["10.0.0.7:11434"],
            "labels": {
                "service": "llm", "site": "a", "target": "a-1", "role": "standby", "release": "7",
                "__scheme__": "https",
            },
        }
    ]  # fmt: skip


def test_sidecars_are_listed_also_when_they_are_down_and_plain_servers_are_not(tmp_path: Path) -> None:
    async def story() -> None:
        server, plain = await ScriptedServer().start(), await ScriptedServer().start()
        async with sidecar(server) as beside:
            await beside.until_ready()
            targets = (
                TargetEntry("a-1", "a", beside.address, release=3),
                TargetEntry("b-1", "b", "127.0.0.1:1"),
                entry(plain, "c"),
            )
            async with gateway(tmp_path, *targets) as running:
                await running.until(
                    lambda: [target.has_sidecar for target in running.context.pool] == [True, None, False]
                )
                reply = await running.ask("GET", PATH)
                assert reply.header("content-type") == "application/json; charset=utf-8"
                assert reply.json() == [
                    {
                        "targets": [beside.address],
                        "labels": {"service": "llm", "site": "a", "target": "a-1", "role": "active", "release": "3"},
                    },
                    {
                        "targets": ["127.0.0.1:1"],
                        "labels": {"service": "llm", "site": "b", "target": "b-1", "role": "active"},
                    },
                ]
        await server.stop()
        await plain.stop()

    run(story())


def test_the_list_is_as_well_kept_as_the_figures(tmp_path: Path) -> None:
    async def story() -> None:
        (user, one), (viewer, other) = made("app"), made("graphs", role="viewer")
        async with gateway(tmp_path, keys_file=written(tmp_path, one, other)) as running:
            for path in ("/metrics", PATH):
                assert (await running.ask("GET", path)).status == 401
                assert (await running.ask("GET", path, headers=bearer(user))).status == 403
                assert (await running.ask("GET", path, headers=bearer(viewer))).status == 200
            assert (await running.ask("POST", PATH, headers=bearer(viewer))).status == 405
        door = "11111111-2222-3333-4444-555555555555"
        async with gateway(tmp_path, front_door_id=door) as running:
            assert (await running.ask("GET", PATH)).status == 200
            assert (await running.ask("GET", "/api/version")).status == 403

    run(story())
