"""Compression with a bound on what comes out, for bytes from outside (Zstandard, RFC 8878)."""

from __future__ import annotations

from typing import Final

import zstandard

from ledger.chain.codec import Malformed

#: Levels above cost much more time and give little on hashes and short texts.
_LEVEL: Final = 3
#: What a frame may make its reader keep at hand, in bytes.
_MAX_WINDOW: Final = 2**23


def compress(data: bytes) -> bytes:
    """One Zstandard frame that says how many bytes it holds."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


def decompress(data: bytes, limit: int) -> bytes:
    """What a frame of `compress` holds.

    Nothing is reserved for more than ``limit`` bytes, whatever the frame claims.

    Raises:
        Malformed: not exactly one such frame, or of more bytes.
    """
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= limit:
            raise Malformed(f"a compressed frame of {size} bytes where {limit} are allowed")
        reader = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        plain = reader.decompress(data, max_output_size=limit, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Malformed(f"not a compressed frame: {error}") from None
    if len(plain) != size:
        raise Malformed("a compressed frame of another size than it says")
    return plain
