"""Writes a tiny model that a real Ollama loads: `tiny_gguf.py FILE [--seed N]`. The standard library is enough.

A llama of two layers with random weights, under half a megabyte. What it says is nonsense; loading, streaming, counts
and times are real. Each seed is another file, so another runner in a server. The layout is GGUF version 3
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Give it `PARAMETER num_thread 1`: on few cores more
threads make so small a model many times slower.

`--layers` makes it slower. With `--letters` it knows single characters alone: then each text has one way to be cut into
tokens, as what a trained model says nearly always has; random weights say words in pieces that reading would not give.
"""

from __future__ import annotations

import argparse
import random
import re
import struct
from array import array
from dataclasses import dataclass
from pathlib import Path

WIDTH, LAYERS, HIDDEN, HEADS, CONTEXT = 64, 2, 128, 4, 4096
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
F32, F16 = 0, 1
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
ALIGNMENT = 32
SPACE = "\u2581"
WORDS = re.findall(
    r"\w+",
    """
    mule road water bread stone river night camp slow sure load carry walk climb rest turn wait know find keep
    north south wind rain dust snow bridge valley market path step pack rope bell star moon old new good heavy light
    warm cold early late far near first last same other many few hello world answer question the and with over under
    """,
)


@dataclass(frozen=True)
class Tensor:
    """`rows` is 0 for a vector; `data` is already in bytes of `kind`."""

    name: str
    rows: int
    columns: int
    kind: int
    data: bytes

    def info(self, offset: int) -> bytes:
        dimensions = (self.columns, self.rows) if self.rows else (self.columns,)
        shape = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        return _text(self.name) + shape + struct.pack("<IQ", self.kind, offset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--letters", action="store_true", help="a vocabulary of single characters")
    asked = parser.parse_args()
    vocabulary = _letters() if asked.letters else _vocabulary()
    tensors = _tensors(len(vocabulary), asked.layers, random.Random(asked.seed))
    _write(asked.file, _facts(vocabulary, asked.layers), tensors)


def _letters() -> list[tuple[str, float, int]]:
    """Tokens with score and kind: the special ones, every byte, and characters, a multiple of 32 in all."""
    found = _silent()
    characters = [SPACE, *map(chr, range(33, 127)), *map(chr, range(0x430, 0x450))]
    count = len(characters) - (len(found) + len(characters)) % 32
    return found + [(character, -1.0 - rank / 100, NORMAL) for rank, character in enumerate(characters[:count])]


def _silent() -> list[tuple[str, float, int]]:
    found = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    return found + [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]


def _vocabulary() -> list[tuple[str, float, int]]:
    """Tokens with score and kind: the special ones, every byte, characters, words and all their beginnings."""
    found = _silent()
    pieces = {SPACE, *map(chr, range(33, 127))}
    pieces |= {start + word[:size] for word in WORDS for start in ("", SPACE) for size in range(1, len(word) + 1)}
    ranked = sorted(pieces, key=lambda piece: (-len(piece), piece))
    found += [(piece, -1.0 - rank / 100, NORMAL) for rank, piece in enumerate(ranked)]
    while len(found) % 32:
        found.append((f"<spare{len(found)}>", -1e4, USER_DEFINED))
    return found


def _facts(vocabulary: list[tuple[str, float, int]], layers: int) -> list[bytes]:
    tokens, scores, kinds = zip(*vocabulary, strict=True)
    numbers = {
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "block_count": layers,
        "feed_forward_length": HIDDEN,
        "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS,
        "rope.dimension_count": WIDTH // HEADS,
        "vocab_size": len(vocabulary),
    }
    texts = {"general.architecture": "llama", "general.name": "tiny", "tokenizer.ggml.model": "llama"}
    ids = {"bos": 1, "eos": 2, "unknown": 0}
    return [
        *(_fact(key, STRING, _text(value)) for key, value in texts.items()),
        *(_fact(f"llama.{key}", UINT32, struct.pack("<I", value)) for key, value in numbers.items()),
        _fact("llama.attention.layer_norm_rms_epsilon", FLOAT32, struct.pack("<f", 1e-5)),
        _fact("general.file_type", UINT32, struct.pack("<I", F16)),
        _fact("tokenizer.ggml.tokens", ARRAY, _array(STRING, [_text(token) for token in tokens])),
        _fact("tokenizer.ggml.scores", ARRAY, _array(FLOAT32, [struct.pack("<f", score) for score in scores])),
        _fact("tokenizer.ggml.token_type", ARRAY, _array(INT32, [struct.pack("<i", kind) for kind in kinds])),
        *(_fact(f"tokenizer.ggml.{key}_token_id", UINT32, struct.pack("<I", value)) for key, value in ids.items()),
        _fact("tokenizer.ggml.add_bos_token", BOOL, b"\x01"),
        _fact("tokenizer.ggml.add_eos_token", BOOL, b"\x00"),
    ]


def _tensors(vocabulary: int, layers: int, chance: random.Random) -> list[Tensor]:
    def weights(name: str, rows: int, columns: int, scale: float = 1.0, silent_rows: int = 0) -> Tensor:
        width = scale / columns**0.5
        values = [0.0] * (silent_rows * columns)
        values += [chance.gauss(0, width) for _ in range((rows - silent_rows) * columns)]
        return Tensor(f"{name}.weight", rows, columns, F16, struct.pack(f"<{len(values)}e", *values))

    def ones(name: str) -> Tensor:
        return Tensor(f"{name}.weight", 0, WIDTH, F32, array("f", [1.0] * WIDTH).tobytes())

    # The special tokens and raw bytes weigh nothing in the output: it says words, and never ends by itself.
    found = [
        weights("token_embd", vocabulary, WIDTH, 4),
        weights("output", vocabulary, WIDTH, 3, silent_rows=259),
        ones("output_norm"),
    ]
    for layer in range(layers):
        found += [ones(f"blk.{layer}.attn_norm"), ones(f"blk.{layer}.ffn_norm")]
        found += [weights(f"blk.{layer}.attn_{part}", WIDTH, WIDTH) for part in ("q", "k", "v", "output")]
        found += [weights(f"blk.{layer}.ffn_{part}", HIDDEN, WIDTH) for part in ("gate", "up")]
        found.append(weights(f"blk.{layer}.ffn_down", WIDTH, HIDDEN))
    return found


def _write(file: Path, facts: list[bytes], tensors: list[Tensor]) -> None:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts)) + b"".join(facts)
    data = b""
    for tensor in tensors:
        head += tensor.info(len(data))
        data += _aligned(tensor.data)
    file.write_bytes(_aligned(head) + data)


def _fact(key: str, kind: int, value: bytes) -> bytes:
    return _text(key) + struct.pack("<I", kind) + value


def _array(kind: int, values: list[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(values)


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _aligned(data: bytes) -> bytes:
    return data + b"\x00" * (-len(data) % ALIGNMENT)


if __name__ == "__main__":
    main()
