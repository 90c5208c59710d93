"""All fuzz targets by name."""

from __future__ import annotations

from typing import Final

from tests.fuzz.files import FILES
from tests.fuzz.targets import TARGETS as DECODERS
from tests.fuzz.targets import Target

TARGETS: Final[dict[str, Target]] = DECODERS | FILES
