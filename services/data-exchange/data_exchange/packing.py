"""What many disclosures share, made small before it is sealed: most of it are texts that thousands of others share.

Packed: the number of a word list, then raw DEFLATE with that list as its dictionary. A list never changes, since what
was packed with it could not be read any more; texts that come later are packed without its help, until another list is
added. Lists hold what the law and forms say, and nothing about anybody.
"""

import zlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

_NEWEST: Final = 1
_RAW: Final = -zlib.MAX_WBITS


def _read_words(number: int) -> bytes:
    return files(__package__).joinpath(f"data/disclosure_words_{number}.txt").read_bytes()


WORDS: Final[Mapping[int, bytes]] = {number: _read_words(number) for number in (1,)}
# Copied for each text, which is much quicker than to take the list in again.
_packer: Final = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, _RAW, zdict=WORDS[_NEWEST])


def pack(text: bytes) -> bytes:
    packer = _packer.copy()
    return bytes((_NEWEST,)) + packer.compress(text) + packer.flush()


def unpack(packed: bytes) -> bytes:
    return zlib.decompressobj(_RAW, zdict=WORDS[packed[0]]).decompress(packed[1:])
