"""Where lives are disturbed, if the machine allows that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.faults import Stage, why_not


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    reason = why_not()
    if reason:
        pytest.skip(f"no faults can be injected: {reason}")
    with Stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage
