"""Whether a resource is valid by the pydantic models of ``fhir.resources``.

R4B stands for R4: for the types used here the two releases have the same elements. The models
accept what FHIR calls empty, so that is looked for as well.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

R4, R5 = "4.0", "5.0"
_PACKAGES = {R4: "fhir.resources.R4B", R5: "fhir.resources"}


@cache
def _model(kind: str, release: str) -> Any:
    module = importlib.import_module(f"{_PACKAGES[release]}.{kind.lower()}")
    return getattr(module, kind)


def validate(resource: dict[str, Any], release: str = R4) -> None:
    """Raises where a resource is not one, or has an empty element."""
    _model(resource["resourceType"], release).model_validate(resource)
    _no_empty(resource, resource["resourceType"])


def _no_empty(value: Any, path: str) -> None:
    assert value not in (None, "", [], {}), f"{path} is empty"
    if isinstance(value, dict):
        for name, item in value.items():
            _no_empty(item, f"{path}.{name}")
    if isinstance(value, list):
        for place, item in enumerate(value):
            _no_empty(item, f"{path}[{place}]")
