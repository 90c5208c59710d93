"""Bodies of requests that msgspec reads, as OpenAPI describes them.

The structures that read a body also describe it, so the two cannot drift apart.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ledger.api.exchange import JSON

_REF: Final = "#/components/schemas/{name}"


def body_of(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """``openapi_extra`` of a route whose body is a structure of that kind."""
    schema = {"$ref": _REF.format(name=kind.__name__)}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


def schemas_of(*kinds: type[msgspec.Struct]) -> dict[str, Any]:
    """The schemas of these structures and of those inside them, by name."""
    _, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    return components
