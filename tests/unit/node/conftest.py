"""The transport has to work on both event loops; other tests run on the default one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

Factory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Factory]:
    factories: dict[str, Factory] = {"asyncio": asyncio.new_event_loop}
    if item.path.name == "test_transport.py":
        factories["uvloop"] = uvloop.new_event_loop
    return factories
