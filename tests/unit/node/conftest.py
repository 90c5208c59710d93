"""The transport has to work on both event loops; other tests run on the default one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from tests.support.founded import Chain
from tests.support.local_service import Consortium

Factory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Factory]:
    factories: dict[str, Factory] = {"asyncio": asyncio.new_event_loop}
    if item.path.name == "test_transport.py":
        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.fixture(scope="session")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    return Consortium(tmp_path_factory.mktemp("founded") / "network")


@pytest.fixture
def chain(consortium: Consortium, tmp_path: Path) -> Chain:
    return Chain(consortium, tmp_path)
