"""Files that many hosts ask for."""

from __future__ import annotations

import anyio

from kxflow.connectors.recent import Recent


def test_a_value_is_looked_at_once_a_second_and_read_when_it_changed() -> None:
    """Twenty at once look once; a stamp that is the same reads nothing; what is to be forgotten is read anew."""
    now, version = 0.0, 1
    said: list[str] = []

    def stamp() -> int:
        said.append("stamp")
        return version

    def read() -> str:
        said.append("read")
        return f"v{version}"

    async def main() -> None:
        nonlocal now, version
        recent: Recent[str] = Recent(clock=lambda: now)

        async def asked() -> tuple[str, list[str]]:
            said.clear()
            return await recent.of("key", stamp, read), list(said)

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(recent.of, "key", stamp, read)
        assert said == ["stamp", "read"]
        version = 2
        assert await asked() == ("v1", [])
        now = 1.5
        assert await asked() == ("v2", ["stamp", "read"])
        now = 3.0
        assert await asked() == ("v2", ["stamp"])
        recent.forget("key")
        assert await asked() == ("v2", ["stamp", "read"])

    anyio.run(main)
