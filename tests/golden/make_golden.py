#!/usr/bin/env python3
"""Makes the reference values of this folder. README.md says what each file holds.

    pip install -r requirements.txt
    ./make_golden.py --models DIR [--threads 1] {tokens,chat,logits,greedy,embeddings} [MODEL ...]

DIR holds one folder per model, as `plumb model pull` lays them out. Nothing is downloaded.
"""
import argparse
import json
import os
import urllib.request
from importlib.metadata import version
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import gguf  # noqa: E402
import numpy as np  # noqa: E402
import tokenizers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, normalizers  # noqa: E402

import inputs  # noqa: E402

HERE = Path(__file__).parent
GENERATORS = ["smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct", "gemma-3-270m"]
FOLDERS = ["all-minilm-l6-v2", "all-mpnet-base-v2"]
NOMIC = "nomic-embed-text-v1.5"
GREEDY_STEPS = 32
TOP = 100
CONTROL, USER_DEFINED = 3, 4  # token types in GGUF and SentencePiece


# --- writing ---------------------------------------------------------------------------------


def rounded(values, digits=6):
    return [float(f"{v:.{digits}g}") for v in values]


def write(name, made_with, cases, **facts):
    """One case a line, so that a diff shows which case moved."""
    head = {"made_with": {p: version(p) for p in made_with}, **facts}
    lines = [json.dumps(c, ensure_ascii=True, separators=(",", ":")) for c in cases]
    text = json.dumps(head, indent=1)[:-2] + ',\n "cases": [\n' + ",\n".join(lines) + "\n]}\n"
    json.loads(text)
    (HERE / f"{name}.json").write_text(text)
    print(f"{name}: {len(cases)} cases, {len(text):,} bytes", flush=True)


# --- the GGUF file -----------------------------------------------------------------------------


class File:
    """Metadata and dequantised tensors of one GGUF file."""

    def __init__(self, path):
        self.path = path
        self.reader = gguf.GGUFReader(path)
        self.arch = self.get("general.architecture")

    def get(self, key, default=None):
        field = self.reader.fields.get(key)
        return default if field is None else field.contents()

    def hyper(self, key, default=None):
        return self.get(f"{self.arch}.{key}", default)

    def tensors(self):
        for t in self.reader.tensors:
            values = gguf.dequantize(t.data, t.tensor_type).astype(np.float32)
            yield t.name, torch.from_numpy(values.reshape(tuple(reversed(t.shape.tolist()))).copy())


def open_gguf(args, model):
    return File(str(next((args.models / model).glob("*.gguf"))))


# --- llama.cpp, through its own server ------------------------------------------------------------


class LlamaCpp:
    """llama.cpp with a float32 cache; its products still quantise activations to 8 bits."""

    def __init__(self, path, threads, embedding=False):
        import xllamacpp as x

        p = x.CommonParams()
        p.model.path = path
        p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_parallel = 2048, 2048, 2048, 1
        p.warmup, p.cache_prompt, p.verbosity = False, False, -1
        p.embedding = embedding
        if not embedding:
            p.cache_type_k = p.cache_type_v = x.ggml_type.GGML_TYPE_F32
        self.server = x.Server(p)

    def post(self, path, **body):
        request = urllib.request.Request(
            self.server.listening_address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        return json.load(urllib.request.urlopen(request))

    def encode(self, text, add, parse):
        return self.post("/tokenize", content=text, add_special=add, parse_special=parse)["tokens"]

    def greedy(self, ids):
        out = self.post(
            "/completion", prompt=ids, n_predict=GREEDY_STEPS, temperature=0, samplers=["temperature"],
            return_tokens=True, cache_prompt=False,
        )
        if out["stop_type"] == "eos":
            return out["tokens"][:-1], "stop"
        return out["tokens"], "length"

    def embed(self, text):
        out = np.array(self.post("/embedding", content=text)[0]["embedding"], np.float32).reshape(-1)
        return out / np.linalg.norm(out)


# --- second opinions on tokens --------------------------------------------------------------------

QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def bpe_tokenizer(file):
    """The tokenizer that the `tokenizers` library makes of the vocabulary in a GGUF file."""
    pieces, kinds = file.get("tokenizer.ggml.tokens"), file.get("tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ")) for m in file.get("tokenizer.ggml.merges")]
    t = Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, merges))
    if file.get("tokenizer.ggml.pre") == "qwen2":
        t.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(QWEN2_SPLIT), "isolated")
        t.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    else:
        digits = pre_tokenizers.Digits(individual_digits=True)
        t.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.add_special_tokens([AddedToken(p, normalized=False) for p, k in zip(pieces, kinds) if k == CONTROL])
    t.add_tokens([AddedToken(p, normalized=False) for p, k in zip(pieces, kinds) if k == USER_DEFINED])

    def encode(text, add, parse):
        t.encode_special_tokens = not parse
        return t.encode(text, add_special_tokens=add).ids

    return encode


def sentencepiece_tokenizer(file):
    """The tokenizer that SentencePiece makes of the vocabulary in a GGUF file.

    Control tokens in the text are never parsed by SentencePiece, so it has no opinion there.
    """
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb

    m = pb.ModelProto()
    rows = zip(file.get("tokenizer.ggml.tokens"), file.get("tokenizer.ggml.scores"), file.get("tokenizer.ggml.token_type"))
    for piece, score, kind in rows:
        # The converter writes the spaces of user-defined pieces as they are.
        piece = piece.replace(" ", "\u2581") if kind == USER_DEFINED else piece
        m.pieces.add(piece=piece, score=score, type=kind)
    m.trainer_spec.model_type = pb.TrainerSpec.BPE
    m.trainer_spec.byte_fallback = True
    m.trainer_spec.vocab_size = len(m.pieces)
    for name in ("unk", "bos", "eos", "pad"):
        setattr(m.trainer_spec, f"{name}_piece", f"<{name}>")
    m.normalizer_spec.name = "identity"
    m.normalizer_spec.add_dummy_prefix = False
    m.normalizer_spec.remove_extra_whitespaces = False
    sp = sentencepiece.SentencePieceProcessor(model_proto=m.SerializeToString())
    bos = [file.get("tokenizer.ggml.bos_token_id")]
    return lambda text, add, parse: None if parse and "<" in text else (bos if add else []) + sp.encode(text)


def folder_tokenizer(folder):
    t = Tokenizer.from_file(str(folder / "tokenizer.json"))
    t.no_truncation()
    t.no_padding()

    def encode(text, add, parse):
        t.encode_special_tokens = not parse
        return t.encode(text, add_special_tokens=add).ids

    return encode


def token_cases(reference, second):
    for text in inputs.ODD_STRINGS:
        flags = [(False, False), (True, True)]
        if any(mark in text for mark in inputs.SPECIAL_MARKS):
            flags += [(False, True), (True, False)]
        for add, parse in flags:
            case = {"text": text, "ids": reference(text, add, parse), "add_special": add, "parse_special": parse}
            other = second(text, add, parse) if second else None
            if other is not None and other != case["ids"]:
                case["second_ids"] = other
            yield case


def make_tokens(args, model):
    if model in FOLDERS:
        reference, second, names = folder_tokenizer(args.models / model), None, ("tokenizers", None)
    else:
        file = open_gguf(args, model)
        reference = LlamaCpp(file.path, args.threads, embedding=model == NOMIC).encode
        if model == NOMIC:
            second, names = folder_tokenizer(args.models / FOLDERS[0]), ("llama.cpp", "tokenizers")
        elif file.get("tokenizer.ggml.model") == "gpt2":
            second, names = bpe_tokenizer(file), ("llama.cpp", "tokenizers")
        else:
            second, names = sentencepiece_tokenizer(file), ("llama.cpp", "sentencepiece")
    cases = list(token_cases(reference, second))
    made_with = ["tokenizers"] if model in FOLDERS else ["xllamacpp", names[1]]
    write(
        f"tokens-{model}", made_with, cases, model=model, reference=names[0], second_opinion=names[1],
        disagreements=sum("second_ids" in c for c in cases),
    )


# --- chat templates ---------------------------------------------------------------------------------


def special_piece(file, name):
    index = file.get(f"tokenizer.ggml.{name}_token_id")
    return None if index is None else file.get("tokenizer.ggml.tokens")[index]


def render(file, messages, add_generation_prompt):
    t = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE()), bos_token=special_piece(file, "bos"), eos_token=special_piece(file, "eos")
    )
    t.chat_template = file.get("tokenizer.chat_template")
    return t.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)


def messages_of(conversation):
    return [{"role": role, "content": content} for role, content in conversation]


def make_chat(args, model):
    file = open_gguf(args, model)
    if file.get("tokenizer.chat_template") is None:
        return
    cases = [
        {"messages": messages_of(c), "add_generation_prompt": add, "text": render(file, messages_of(c), add)}
        for c in inputs.CONVERSATIONS
        for add in (True, False)
    ]
    write(f"chat-{model}", ["transformers", "jinja2"], cases, model=model)


# --- float32 models from dequantised weights -----------------------------------------------------------


def undo_permute(w, heads):
    """The llama converter interleaves the halves of each head for its rotary layout."""
    return w.reshape(heads, w.shape[0] // heads // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


BLOCK = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
}
BLOCK_NORMS = {
    "gemma3": {"post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
               "post_ffw_norm": "post_feedforward_layernorm"},
    "llama": {"ffn_norm": "post_attention_layernorm"},
    "qwen2": {"ffn_norm": "post_attention_layernorm"},
}


def state_name(arch, name):
    top = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
    stem, _, leaf = name.rpartition(".")
    if stem in top:
        return f"{top[stem]}.{leaf}"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{(BLOCK | BLOCK_NORMS[arch])[part]}.{leaf}"


def state_dict(file):
    heads, kv_heads = file.hyper("attention.head_count"), file.hyper("attention.head_count_kv")
    state = {}
    for name, w in file.tensors():
        if file.arch == "llama" and ".attn_q." in name:
            w = undo_permute(w, heads)
        if file.arch == "llama" and ".attn_k." in name:
            w = undo_permute(w, kv_heads)
        if file.arch == "gemma3" and "norm" in name:
            w = w - 1  # The file holds 1 + w; transformers adds the 1 again.
        state[state_name(file.arch, name)] = w
    return state


def config(file, state):
    shared = dict(
        vocab_size=state["model.embed_tokens.weight"].shape[0], hidden_size=file.hyper("embedding_length"),
        intermediate_size=file.hyper("feed_forward_length"), num_hidden_layers=file.hyper("block_count"),
        num_attention_heads=file.hyper("attention.head_count"), num_key_value_heads=file.hyper("attention.head_count_kv"),
        rms_norm_eps=file.hyper("attention.layer_norm_rms_epsilon"), max_position_embeddings=file.hyper("context_length"),
        tie_word_embeddings="lm_head.weight" not in state,
    )
    theta = file.hyper("rope.freq_base")
    if file.arch == "llama":
        return transformers.LlamaConfig(**shared, rope_parameters={"rope_type": "default", "rope_theta": theta})
    if file.arch == "qwen2":
        return transformers.Qwen2Config(**shared, rope_parameters={"rope_type": "default", "rope_theta": theta})
    kinds = ["full_attention" if i % 6 == 5 else "sliding_attention" for i in range(shared["num_hidden_layers"])]
    return transformers.Gemma3TextConfig(
        **shared, head_dim=file.hyper("attention.key_length"), query_pre_attn_scalar=file.hyper("attention.key_length"),
        sliding_window=file.hyper("attention.sliding_window"), layer_types=kinds,
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": theta},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
    )


def load_float32(file):
    state = state_dict(file)
    c = config(file, state)
    c._attn_implementation = "eager"
    net = transformers.AutoModelForCausalLM.from_config(c, dtype=torch.float32)
    missing, unexpected = net.load_state_dict(state, strict=False)
    allowed = ["lm_head.weight"] if c.tie_word_embeddings else []
    assert list(missing) in ([], allowed) and not unexpected, (missing, unexpected)
    net.tie_weights()
    return net.eval()


# --- logits and continuations ---------------------------------------------------------------------------


def prompts(file, model, encode):
    """Name, text and ids of every prompt; the ids are those of llama.cpp."""
    rows = list(inputs.PROMPTS)
    if model.startswith("gemma"):
        rows += inputs.LONG_PROMPTS
    rows = [(name, text, encode(text, True, False)) for name, text in rows]
    if file.get("tokenizer.chat_template"):
        for i in (0, 2, 3):
            text = render(file, messages_of(inputs.CONVERSATIONS[i]), True)
            rows.append((f"chat {i}", text, encode(text, True, True)))
    return rows


@torch.inference_mode()
def make_logits(args, model):
    file = open_gguf(args, model)
    rows = prompts(file, model, LlamaCpp(file.path, args.threads).encode)
    net = load_float32(file)
    cases = []
    for name, text, ids in rows:
        logits = net(torch.tensor([ids]), logits_to_keep=1).logits[0, -1].float()
        top = torch.topk(logits, TOP)
        cases.append({"name": name, "text": text, "ids": ids, "top_ids": top.indices.tolist(), "top_logits": rounded(top.values.tolist(), 7)})
    write(f"logits-{model}", ["transformers", "torch", "gguf", "xllamacpp"], cases, model=model)


def end_tokens(file):
    names = {"<|im_end|>", "<|endoftext|>", "<eos>", "<end_of_turn>"}
    pieces, kinds = file.get("tokenizer.ggml.tokens"), file.get("tokenizer.ggml.token_type")
    return [i for i, (p, k) in enumerate(zip(pieces, kinds)) if p in names and k == CONTROL]


@torch.inference_mode()
def greedy_float32(net, ids, ends, draft):
    """Ids without the end token, why it stopped, and top-1 minus top-2 logit of every step.

    `draft` saves time and changes nothing: one pass checks it, and the steps after the first
    token that it has wrong are taken one by one.
    """
    out, margins = [], []
    cache = None
    logits = net(torch.tensor([ids + draft]), logits_to_keep=len(draft) + 1).logits[0].float()
    while len(out) < GREEDY_STEPS:
        if len(out) < len(logits) and out == draft[: len(out)]:
            row = logits[len(out)]
        else:
            step = ids + out if cache is None else out[-1:]
            result = net(torch.tensor([step]), past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache, row = result.past_key_values, result.logits[0, -1].float()
        top = torch.topk(row, 2)
        margins.append(float(top.values[0] - top.values[1]))
        if int(top.indices[0]) in ends:
            return out, "stop", margins
        out.append(int(top.indices[0]))
    return out, "length", margins


def first_difference(a, b):
    same = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return None if a == b else same


def make_greedy(args, model):
    file = open_gguf(args, model)
    engine = LlamaCpp(file.path, args.threads)
    rows = [(*row, *engine.greedy(row[2])) for row in prompts(file, model, engine.encode)]
    net, ends, cases = load_float32(file), end_tokens(file), []
    for name, text, ids, theirs, their_end in rows:
        ours, end, margins = greedy_float32(net, ids, ends, theirs)
        split = first_difference(ours, theirs)
        cases.append({
            "name": name, "text": text, "ids": ids, "agree": split is None and end == their_end, "first_difference": split,
            "llama_cpp": {"ids": theirs, "finish": their_end},
            "float32": {"ids": ours, "finish": end, "margins": rounded(margins, 4)},
        })
    write_greedy(model, ends, cases)


def write_greedy(model, ends, cases):
    differ = {c["name"]: c["first_difference"] for c in cases if not c["agree"]}
    margins = {c["name"]: c["float32"]["margins"] for c in cases}
    write(
        f"greedy-{model}", ["transformers", "torch", "gguf", "xllamacpp"], cases, model=model, end_tokens=ends,
        agree=[c["name"] for c in cases if c["agree"]],
        differ={name: {"step": step, "margin": margins[name][step]} for name, step in differ.items()},
    )


# --- embeddings --------------------------------------------------------------------------------------------


def load_nomic(file):
    net = transformers.NomicBertModel(transformers.NomicBertConfig(
        vocab_size=30522, num_hidden_layers=file.hyper("block_count"), layer_norm_eps=file.hyper("attention.layer_norm_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": file.hyper("rope.freq_base")}, attn_implementation="eager",
    ), add_pooling_layer=False)
    names = {
        "attn_output": "self_attn.o_proj", "ffn_up": "mlp.up_proj", "ffn_gate": "mlp.gate_proj", "ffn_down": "mlp.down_proj",
        "attn_output_norm": "post_attention_layernorm", "layer_output_norm": "post_mlp_layernorm",
    }
    top = {"token_embd": "embeddings.word_embeddings", "token_types": "embeddings.token_type_embeddings", "token_embd_norm": "embeddings.LayerNorm"}
    state = {}
    for name, w in file.tensors():
        stem, _, leaf = name.rpartition(".")
        if stem in top:
            state[f"{top[stem]}.{leaf}"] = w
        elif "attn_qkv" in name:
            for part, rows in zip("qkv", w.chunk(3)):
                state[f"layers.{stem.split('.')[1]}.self_attn.{part}_proj.weight"] = rows
        else:
            state[f"layers.{stem.split('.')[1]}.{names[stem.split('.')[2]]}.{leaf}"] = w
    net.load_state_dict(state)
    return net.eval()


@torch.inference_mode()
def embed(net, ids):
    """Mean over all tokens, then unit length."""
    hidden = net(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)).last_hidden_state[0]
    return torch.nn.functional.normalize(hidden.mean(0), dim=0)


def make_embeddings(args, model):
    if model == NOMIC:
        file = open_gguf(args, model)
        net, longest, engine = load_nomic(file), file.hyper("context_length"), LlamaCpp(file.path, args.threads, embedding=True)
        encode = engine.encode
    else:
        folder = args.models / model
        net = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        longest = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
        encode, engine = folder_tokenizer(folder), None
    cases = []
    for text in inputs.EMBED_TEXTS:
        ids = encode(text, True, True)
        if longest < len(ids):
            ids = ids[: longest - 1] + ids[-1:]
        vector = embed(net, ids)
        case = {"text": text, "tokens": len(ids), "embedding": rounded(vector.tolist())}
        if engine:
            case["llama_cpp_cosine"] = float(f"{np.dot(vector.numpy(), engine.embed(text)):.7f}")
        cases.append(case)
    made_with = ["transformers", "torch", "gguf", "xllamacpp"] if engine else ["transformers", "torch", "tokenizers"]
    write(f"embeddings-{model}", made_with, cases, model=model, max_tokens=longest, pooling="mean", normalised=True)


COMMANDS = {
    "tokens": (make_tokens, GENERATORS + FOLDERS + [NOMIC]),
    "chat": (make_chat, GENERATORS),
    "logits": (make_logits, GENERATORS),
    "greedy": (make_greedy, GENERATORS),
    "embeddings": (make_embeddings, FOLDERS + [NOMIC]),
}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--models", type=Path, required=True)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("command", choices=COMMANDS)
    p.add_argument("model", nargs="*")
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    make, all_models = COMMANDS[args.command]
    for model in args.model or all_models:
        make(args, model)


if __name__ == "__main__":
    main()
