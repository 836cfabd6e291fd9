"""Makes tiny random models of the families whose weights cannot be had, and
what transformers computes with them.

    venv/bin/python make_tiny.py [NAME...]

Each is a folder in `tiny/` with the model as `save_pretrained` writes it and
`expected.json`: for a decoder the logits (V) after some of the tokens of each
text, for an encoder its hidden states, for a classifier its scores. Weights are
stored in bfloat16 and widened to float32 for the reference. A few have a
tokenizer of letters, too, and values for whole texts.
"""

import json
import shutil
import sys
from pathlib import Path

import tokenizers
import torch
import transformers as t
from tokenizers.processors import TemplateProcessing

HERE = Path(__file__).parent / "tiny"
VOCAB = 96
# Texts by length: shorter than every window, longer than all, past what
# stretched models were first trained on.
LENGTHS = [1, 5, 40]
# After which tokens logits are kept.
KEPT = [0, 4, 17, 39]

SIZES = dict(
    vocab_size=VOCAB,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    max_position_embeddings=64,
    bos_token_id=0,
    eos_token_id=2,
    pad_token_id=1,
)
BERT = dict(
    vocab_size=VOCAB,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=48,
)


def without(sizes, *keys):
    return {key: size for key, size in sizes.items() if key not in keys}


def rope(kind, **more):
    return dict(rope_theta=10000.0, rope_type=kind, **more)


DECODERS = {
    "llama3": t.LlamaConfig(
        **SIZES,
        tie_word_embeddings=False,
        rope_parameters=rope(
            "llama3",
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=16,
        ),
    ),
    "llama-linear": t.LlamaConfig(
        **SIZES, attention_bias=True, rope_parameters=rope("linear", factor=4.0)
    ),
    "mistral": t.MistralConfig(**SIZES, sliding_window=8, tie_word_embeddings=False),
    "qwen2-yarn": t.Qwen2Config(
        **without(SIZES, "head_dim", "hidden_size", "max_position_embeddings"),
        hidden_size=64,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        # So that the ramp has ends that are not whole pairs.
        rope_parameters=dict(
            rope_theta=50.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=256
        ),
    ),
    "qwen3": t.Qwen3Config(**SIZES, tie_word_embeddings=True),
    "gemma2": t.Gemma2Config(
        **SIZES,
        sliding_window=8,
        query_pre_attn_scalar=24,
        attn_logit_softcapping=2.0,
        final_logit_softcapping=3.0,
    ),
    "gemma3": t.Gemma3TextConfig(
        **without(SIZES, "num_hidden_layers"),
        num_hidden_layers=6,
        sliding_window=8,
        query_pre_attn_scalar=16,
    ),
    "phi3-longrope": t.Phi3Config(
        **without(SIZES, "head_dim", "hidden_size"),
        hidden_size=64,
        original_max_position_embeddings=16,
        tie_word_embeddings=False,
        rope_parameters=rope(
            "longrope",
            short_factor=[1.0, 1.1, 1.2, 1.3, 1.5, 1.7, 1.9, 2.2],
            long_factor=[1.0, 1.4, 2.0, 2.7, 3.5, 3.8, 4.0, 4.0],
        ),
    ),
    "gpt2": t.GPT2Config(
        vocab_size=VOCAB,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_inner=48,
        n_positions=64,
        bos_token_id=0,
        eos_token_id=2,
    ),
}

ENCODERS = {
    "bert": t.BertConfig(**BERT),
    "roberta": t.RobertaConfig(**BERT, type_vocab_size=1, pad_token_id=1),
    "distilbert": t.DistilBertConfig(
        vocab_size=VOCAB, dim=32, hidden_dim=48, n_layers=2, n_heads=4, max_position_embeddings=48
    ),
}

CLASSIFIERS = {
    "bert-classifier": t.BertConfig(**BERT, num_labels=1),
    "xlm-roberta-classifier": t.XLMRobertaConfig(
        **BERT, type_vocab_size=1, pad_token_id=1, num_labels=2
    ),
    "distilbert-classifier": t.DistilBertConfig(
        vocab_size=VOCAB,
        dim=32,
        hidden_dim=48,
        n_layers=2,
        n_heads=4,
        max_position_embeddings=48,
        num_labels=1,
    ),
}


def fill(model, seed):
    """Weights large enough that every part of the model matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 2:
                is_table = "emb" in name or "wte" in name or "wpe" in name
                parameter.copy_(noise * (0.5 if is_table else 0.25))
            elif "norm" in name.lower() or "ln_" in name:
                gain = 0.0 if "bias" in name or "gemma" in type(model).__name__.lower() else 1.0
                parameter.copy_(gain + noise * 0.3)
            else:
                parameter.copy_(noise * 0.3)
            parameter.copy_(parameter.bfloat16().float())


def texts(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, VOCAB, (n,), generator=generator).tolist() for n in LENGTHS]


LETTERS = "abcdefghijklmnopqrstuvwxyz"
PASSAGES = [
    "a short passage",
    "",
    "the answer to the query, in words that go on and on until they are cut off somewhere",
    "z",
]
CHAT = """{% for m in messages %}[{{ m.role }}] {{ m.content }}. {% endfor %}"""


def word_pieces():
    """The uncased tokenizer of BERT with pieces of one letter."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = special + list(LETTERS) + ["##" + letter for letter in LETTERS] + list(".,?")
    vocab = {piece: i for i, piece in enumerate(pieces)}
    return t.BertTokenizer(vocab=vocab)


def letters():
    """Pieces of one letter with a mark for spaces, as SentencePiece has them."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    signs = [chr(code) for code in range(ord("!"), ord("~"))][: VOCAB - len(special) - 1]
    vocab = {piece: i for i, piece in enumerate([*special, "\u2581", *signs])}
    library = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, [], unk_token="<unk>"))
    library.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    library.decoder = tokenizers.decoders.Metaspace()
    named = dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>")
    return t.PreTrainedTokenizerFast(tokenizer_object=library, **named)


def pairs_of_letters():
    """The same with the special tokens of XLM-RoBERTa around texts and pairs."""
    tokenizer = letters()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return tokenizer


TOKENIZERS = {"bert-classifier": word_pieces, "xlm-roberta-classifier": pairs_of_letters}


def score(name, model):
    """The scores of passages for a query, as sentence-transformers reads them."""
    tokenizer = TOKENIZERS[name]()
    query, scores = "what is the answer?", []
    for passage in PASSAGES:
        room = model.config.max_position_embeddings - (0 if name.startswith("bert") else 2)
        # As lists: an empty passage alone would be taken for none.
        inputs = tokenizer(
            [query], [passage], truncation="longest_first", max_length=room, return_tensors="pt"
        )
        if name.startswith("xlm"):
            inputs.pop("token_type_ids", None)
        with torch.no_grad():
            scores.append(model(**inputs).logits[0].tolist())
    tokenizer.save_pretrained(HERE / name)
    return {"query": query, "passages": PASSAGES, "labels": [[round(x, 6) for x in s] for s in scores]}


def converse(model):
    """A greedy answer to a message, through the chat template."""
    tokenizer = letters()
    tokenizer.chat_template = CHAT
    message = "what is the answer?"
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": message}], return_tensors="pt", return_dict=True
    )
    ids = prompt["input_ids"]
    with torch.no_grad():
        whole = model.generate(**prompt, max_new_tokens=12, do_sample=False, pad_token_id=1)
    tokenizer.save_pretrained(HERE / "qwen3")
    return {"message": message, "prompt": ids[0].tolist(), "answer": whole[0, ids.shape[1] :].tolist()}


def rounded(tensor):
    return [[round(x, 6) for x in row] for row in tensor.double().tolist()]


def save(name, model, cases, more=lambda: {}, **options):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    texts = more()
    model.bfloat16().save_pretrained(folder, **options)
    (folder / "generation_config.json").unlink(missing_ok=True)
    expected = {
        "made_with": {"transformers": t.__version__, "torch": torch.__version__},
        "cases": cases,
        **texts,
    }
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


def decoder(name, config, seed):
    model = t.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    fill(model, seed)
    cases = []
    for ids in texts(seed):
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        kept = [i for i in KEPT if i < len(ids)]
        cases.append({"ids": ids, "after": kept, "logits": rounded(logits[kept])})
    # One model in several files, as large ones are.
    options = {"max_shard_size": "16KB"} if name == "mistral" else {}
    if name == "qwen3":
        options["more"] = lambda: {"chat": converse(model)}
    save(name, model, cases, **options)


def encoder(name, config, seed):
    model = t.AutoModel.from_config(config, attn_implementation="eager").float().eval()
    fill(model, seed)
    cases = []
    for ids in texts(seed):
        with torch.no_grad():
            states = model(torch.tensor([ids])).last_hidden_state[0]
        kept = [i for i in KEPT if i < len(ids)]
        cases.append({"ids": ids, "after": kept, "states": rounded(states[kept])})
    save(name, model, cases)


def classifier(name, config, seed):
    kind = t.AutoModelForSequenceClassification
    model = kind.from_config(config, attn_implementation="eager").float().eval()
    fill(model, seed)
    cases = []
    for ids in texts(seed):
        second = len(ids) // 2
        more = {}
        if name.startswith("bert"):
            types = [0] * second + [1] * (len(ids) - second)
            more = {"token_type_ids": torch.tensor([types])}
        with torch.no_grad():
            scores = model(torch.tensor([ids]), **more).logits[0]
        cases.append({"ids": ids, "second": second, "scores": rounded(scores[None])[0]})
    more = (lambda: {"pairs": score(name, model)}) if name in TOKENIZERS else dict
    save(name, model, cases, more)


if __name__ == "__main__":
    wanted = sys.argv[1:]
    kinds = [(DECODERS, decoder), (ENCODERS, encoder), (CLASSIFIERS, classifier)]
    for i, (models, make) in enumerate(kinds):
        for j, (name, config) in enumerate(models.items()):
            if not wanted or name in wanted:
                make(name, config, 100 * i + j)
                print(name)
