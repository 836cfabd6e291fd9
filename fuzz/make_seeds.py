#!/usr/bin/env python3
"""Writes the hand-made part of fuzz/seeds: one tiny valid file of each kind.

The rest of fuzz/seeds was found by fuzzing and kept by `cargo fuzz cmin`.
Needs nothing but Python 3.
"""

import json
import struct
from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
PACK = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?",
        U64: "Q", I64: "q", F64: "d"}
# Number, numbers of a block, bytes of a block.
TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20),
         "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144),
         "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210), "BF16": (30, 1, 2)}


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def item(kind, value):
    return string(value) if kind == STRING else struct.pack("<" + PACK[kind], value)


def value(kind, value):
    if isinstance(value, list):
        head = struct.pack("<IIQ", ARRAY, kind, len(value))
        return head + b"".join(item(kind, one) for one in value)
    return struct.pack("<I", kind) + item(kind, value)


def gguf(metadata, tensors=(), version=3):
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, (kind, content) in metadata.items():
        out += string(key) + value(kind, content)
    offset, data = 0, b""
    for name, kind, dims in tensors:
        number, block, size = TYPES[kind]
        count = 1
        for dim in dims:
            count *= dim
        out += string(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
        out += struct.pack("<IQ", number, offset)
        data += bytes(count // block * size)
        data += bytes(-len(data) % 32)
        offset = len(data)
    return out + bytes(-len(out) % 32) + data if tensors else out


def safetensors(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def byte_char(byte):
    others = [b for b in range(256)
              if not (33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255)]
    return chr(256 + others.index(byte)) if byte in others else chr(byte)


def vocabulary(model, tokens, **more):
    metadata = {"tokenizer.ggml.model": (STRING, model),
                "tokenizer.ggml.tokens": (STRING, tokens)}
    metadata.update({f"tokenizer.ggml.{key}": content for key, content in more.items()})
    return metadata


BYTES = [byte_char(byte) for byte in range(256)]
BYTE_TOKENS = [f"<0x{byte:02X}>" for byte in range(256)]
PAIRS = vocabulary(
    "gpt2", BYTES + ["he", "ll", "hell", "<|im_start|>", "<|im_end|>"],
    merges=(STRING, ["h e", "l l", "he ll"]), pre=(STRING, "qwen2"),
    token_type=(I32, [1] * 259 + [3, 3]), bos_token_id=(U32, 259), eos_token_id=(U32, 260),
    add_bos_token=(BOOL, True))
PIECES = vocabulary(
    "llama", ["<unk>", "<s>", "</s>"] + BYTE_TOKENS + ["\u2581", "a", "b", "ab", "\u2581ab"],
    scores=(F32, [0.0] * 259 + [-9.0, -8.0, -8.0, -1.0, -0.5]),
    token_type=(I32, [2, 3, 3] + [6] * 256 + [1] * 5), unknown_token_id=(U32, 0),
    bos_token_id=(U32, 1), eos_token_id=(U32, 2), add_space_prefix=(BOOL, False))
WORDS = vocabulary(
    "bert", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "\u2581a", "\u2581ab", "c"],
    token_type=(U32, [3, 3, 3, 3, 1, 1, 1]), unknown_token_id=(U32, 1), bos_token_id=(U32, 2),
    seperator_token_id=(U32, 3), eos_token_id=(U32, 3))
EVERY_VALUE = {f"a.{kind}": (kind, 1) for kind in PACK} | {
    f"b.{kind}": (kind, [1, 0, 1]) for kind in PACK} | {
    "c": (STRING, "text"), "d": (STRING, ["", "x", "\u00e9"]),
    "general.alignment": (U32, 32)}
EVERY_TYPE = [(kind, kind, [block * 2, 2]) for kind, (_, block, _) in TYPES.items()]

BPE = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "\u0120": 3}, "merges": ["a b"]}
ADDED = [{"id": 4, "content": "<s>", "special": True, "single_word": False, "lstrip": False,
          "rstrip": False, "normalized": False}]


def tokenizer(model, **more):
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
             "normalizer": None, "pre_tokenizer": None, "post_processor": None,
             "decoder": None, "model": model}
    return json.dumps(whole | more).encode()


FILES = {
    "gguf/values": gguf(EVERY_VALUE),
    "gguf/types": gguf({"general.architecture": (STRING, "llama")}, EVERY_TYPE),
    "gguf/version2": gguf({}, [("t", "F32", [3])], version=2),
    "safetensors/two": safetensors(
        {"__metadata__": {"format": "pt"},
         "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
         "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
         "c": {"dtype": "I64", "shape": [1], "data_offsets": [32, 40]}}, bytes(40)),
    "safetensors/empty": safetensors({}, b""),
    "tokenizer_gguf/pairs": gguf(PAIRS),
    "tokenizer_gguf/pieces": gguf(PIECES),
    "tokenizer_gguf/words": gguf(WORDS),
    "tokenizer_json/pairs": tokenizer(
        BPE, added_tokens=ADDED,
        pre_tokenizer={"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                       "use_regex": True}, decoder={"type": "ByteLevel"}),
    "tokenizer_json/words": tokenizer(
        {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
         "max_input_chars_per_word": 100,
         "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##b": 4}},
        normalizer={"type": "BertNormalizer", "clean_text": True,
                    "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        post_processor={"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}),
    "tokenizer_json/unigram": tokenizer(
        {"type": "Unigram", "unk_id": 0, "byte_fallback": False,
         "vocab": [["<unk>", 0.0], ["\u2581", -2.0], ["a", -3.0], ["\u2581a", -1.0]]},
        pre_tokenizer={"type": "Metaspace", "replacement": "\u2581",
                       "prepend_scheme": "always", "split": True},
        decoder={"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always",
                 "split": True}),
    "tokenizer_json/level": tokenizer(
        {"type": "WordLevel", "vocab": {"a": 0, "[UNK]": 1}, "unk_token": "[UNK]"},
        pre_tokenizer={"type": "Whitespace"},
        normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}),
}

for name, data in FILES.items():
    path = SEEDS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
