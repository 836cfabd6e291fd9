#!/usr/bin/env python3
"""What each quantisation type costs: divergence of a model's logits from floats.

    pip install gguf
    ./divergence.py --plumb target/release/plumb MODEL TEXT [--tokens 1024] [--json FILE]

Dequantises the matrices of the blocks of MODEL (a name of the catalogue with a GGUF file), writes
them in floats and in each type, and asks `plumb bench perplexity` for both divergences of a file
in a type: of its integer arithmetic from floats with the same weights, and of the whole from the
floats that were quantised. All other tensors stay as they are. A type whose blocks do not divide
a matrix's rows leaves that matrix in floats; the share of the weights that it holds is printed.
Q4_0 to Q8_0 and BF16 are quantised by the `gguf` package, Q4_K to Q6_K below: scales that reach
the largest and the smallest number of each group, without a search for better ones.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import gguf
import numpy as np

Type = gguf.GGMLQuantizationType
TYPES = [Type.F16, Type.BF16, Type.Q8_0, Type.Q6_K, Type.Q5_1, Type.Q5_0, Type.Q5_K, Type.Q4_1,
         Type.Q4_0, Type.Q4_K]


def halves(x):
    return x.astype(np.float16).view(np.uint8).reshape(*x.shape[:-1], -1)


def safe(x):
    return np.where(x == 0, 1, x)


def shared_shifted(rows, bits):
    """Q4_K and Q5_K: eight groups of 32 with six bits each for scale and minimum."""
    blocks = rows.reshape(-1, 8, 32)
    low = np.minimum(blocks.min(-1), 0)
    steps = (blocks.max(-1) - low) / ((1 << bits) - 1)
    scale = (steps.max(-1, keepdims=True) / 63).astype(np.float16).astype(np.float32)
    minimum = (-low.min(-1, keepdims=True) / 63).astype(np.float16).astype(np.float32)
    factors = np.clip(np.rint(steps / safe(scale)), 0, 63)
    minima = np.clip(np.rint(-low / safe(minimum)), 0, 63)
    each = (scale * factors)[..., None]
    quants = np.rint((blocks + (minimum * minima)[..., None]) / safe(each))
    quants = np.clip(quants, 0, (1 << bits) - 1).astype(np.uint8)
    f, m = factors.astype(np.uint8), minima.astype(np.uint8)
    packed = [f[:, :4] | (f[:, 4:] >> 4 << 6), m[:, :4] | (m[:, 4:] >> 4 << 6), (f[:, 4:] & 15) | (m[:, 4:] << 4)]
    pairs = quants.reshape(-1, 4, 2, 32)
    nibbles = ((pairs[:, :, 0] & 15) | (pairs[:, :, 1] << 4)).reshape(-1, 128)
    high = []
    if bits == 5:
        high = [sum((quants[:, g] >> 4) << g for g in range(8)).astype(np.uint8)]
    return np.concatenate([halves(scale), halves(minimum), *packed, *high, nibbles], -1)


def q6_k(rows):
    """Sixteen groups of 16 with a signed byte each."""
    blocks = rows.reshape(-1, 16, 16)
    at = np.abs(blocks).argmax(-1)[..., None]
    steps = np.take_along_axis(blocks, at, -1)[..., 0] / -32
    scale = (np.abs(steps).max(-1, keepdims=True) / 127).astype(np.float16).astype(np.float32)
    factors = np.clip(np.rint(steps / safe(scale)), -128, 127)
    each = (scale * factors)[..., None]
    quants = (np.clip(np.rint(blocks / safe(each)), -32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = quants & 15
    nibbles = np.stack([low[:, :, 0] | (low[:, :, 2] << 4), low[:, :, 1] | (low[:, :, 3] << 4)], 2)
    high = sum((quants[:, :, i] >> 4) << (2 * i) for i in range(4)).astype(np.uint8)
    size = len(blocks)
    return np.concatenate([nibbles.reshape(size, -1), high.reshape(size, -1),
                           factors.astype(np.int8).view(np.uint8), halves(scale)], -1)


def quantised(rows, kind):
    length, width = gguf.GGML_QUANT_SIZES[kind]
    if rows.shape[-1] % length:
        return None
    if kind == Type.F16:
        return rows.astype(np.float16)
    if kind in (Type.Q4_K, Type.Q5_K):
        packed = shared_shifted(rows, 4 if kind == Type.Q4_K else 5)
    elif kind == Type.Q6_K:
        packed = q6_k(rows)
    else:
        return gguf.quants.quantize(rows, kind)
    return packed.reshape(rows.shape[0], rows.shape[1] // length * width)


def write(reader, path, kind):
    """Writes the model with its blocks' matrices in `kind`; returns their share that is."""
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(path, architecture)
    for field in reader.fields.values():
        if field.name != "general.architecture" and not field.name.startswith("GGUF."):
            writer.add_key_value(field.name, field.contents(), field.types[0],
                                 sub_type=field.types[-1] if len(field.types) > 1 else None)
    total = held = 0
    for tensor in reader.tensors:
        if not tensor.name.startswith("blk.") or len(tensor.shape) < 2:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
            continue
        rows = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        total += rows.size
        data = None if kind == Type.F32 else quantised(rows, kind)
        if data is None:
            writer.add_tensor(tensor.name, rows)
            continue
        held += rows.size
        back = gguf.quants.dequantize(data, kind)
        error = np.linalg.norm(back - rows) / np.linalg.norm(rows)
        assert error < 0.15, f"{kind.name} of {tensor.name} is off by {error}"
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return held / total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--plumb", required=True)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--json")
    args = parser.parse_args()

    def plumb(*words):
        command = [args.plumb, *map(str, words), "--json"]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def perplexity(path, *words):
        found = plumb("bench", "perplexity", path, "--text", args.text, "--tokens", args.tokens,
                      "--kv-cache", "f32", *words)
        del found["model"]
        return found

    reader = gguf.GGUFReader(plumb("model", "show", args.model)["path"])
    found = []
    print("| type | of the blocks' weights | perplexity | arithmetic | weights and arithmetic | same likeliest |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        floats = pathlib.Path(folder) / "floats.gguf"
        write(reader, floats, Type.F32)
        for kind in TYPES:
            path = pathlib.Path(folder) / f"{kind.name}.gguf"
            share = write(reader, path, kind)
            own = perplexity(path, "--exact")
            whole = perplexity(path, "--reference", floats)
            path.unlink()
            found.append({"type": kind.name, "share": share, "own": own, "whole": whole})
            print(f"| {kind.name} | {100 * share:.0f} % | {own['perplexity']:.3f} "
                  f"| {own['exact']['mean_divergence']:.5f} | {whole['exact']['mean_divergence']:.5f} "
                  f"| {100 * whole['exact']['same_likeliest']:.1f} % |", flush=True)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"model": args.model, "tokens": args.tokens, "types": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
