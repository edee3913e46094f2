"""Writes tests/goldens/tokenizers: small tokenizers and what the reference libraries make of texts.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers sentencepiece
    /tmp/venv/bin/python tests/tools/make_tokenizer_cases.py build/release/moge

Made with tokenizers 0.23.3 and sentencepiece 0.2.3. Everything is trained on tokenizer_corpus.txt,
which was written for this purpose. Running again gives the same bytes.
"""

import json
import pathlib
import random
import shutil
import subprocess
import sys

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

TOOLS = pathlib.Path(__file__).parent
OUT = TOOLS.parent / "goldens" / "tokenizers"
CORPUS = (TOOLS / "tokenizer_corpus.txt").read_text(encoding="utf-8")

TEXTS = [
    "", " ", "  ", "\n", "a", "Hello, world!", " the ships", "the  ships   on the horizon ",
    "Isn't it? I'LL see; we've 12345 and 3.14159 of 1,000,000.", "x\n\n\n  y\r\n\tz  \n",
    "def area(w, h):\n    return w * h  # 12\n", "灯塔的看守人数着船。", "今日は、十二隻です",
    "Смотритель маяка", "كان حارس المنارة", "שומר", "जहाज़", "등대지기", "👨‍👩‍👧 🇨🇭 👍🏽!",
    "café vs cafe\u0301, Å vs A\u030a, ﬁne, ½, x², ㎏", "İSTANBUL Straße ΣΑΣ ǅ",
    "a\u00a0b\u2003c\u3000d\u0085e\u200bf\u180eg", "\u0000\u0001\u001f\u007f\u0080",
    "<s>text</s> <unk> <|end|>", "▁under▁score ▁", "  leading", "trailing  ", "<0x41><0x0A>",
    "0123456789 ٣٤٥ ⅷ ²³ 五", "snake_case camelCase kebab-case", "https://example.org/a?b=c&d=1",
    "!!!???...,,,;;;", "a" * 60, " " * 40 + "x", "ab" * 40, "\ufeffbom \ufffd \U0010ffff \ue000",
    "\U00031350\U0001e4d0\u1c89", "whole unwholesome whole-some whole", "x <|l|> y <|r|> z",
    "'s 'S 'ſ 'll 'LL", "tab\tand\vvertical\fform", "e\u0301\u0327o\u0308", "\u1100\u1161\u11a8",
]


def random_texts(count, seed):
    rng = random.Random(seed)
    ranges = [(0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x400, 0x45F), (0x600, 0x64A),
              (0x4E00, 0x4FFF), (0x1F600, 0x1F64F), (0x9, 0xD), (0x2000, 0x202F), (0x30, 0x39)]
    texts = []
    for _ in range(count):
        text = ""
        for _ in range(rng.randint(1, 24)):
            low, high = rng.choice(ranges)
            text += chr(rng.randint(low, high))
        texts.append(text)
    return texts


def hf_cases(tokenizer, texts, seed):
    cases = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        cases.append({
            "text": text, "ids": ids,
            "ids_plain": tokenizer.encode(text, add_special_tokens=False).ids,
            "decoded": tokenizer.decode(ids, skip_special_tokens=False),
            "decoded_skip_special": tokenizer.decode(ids, skip_special_tokens=True)})
    rng = random.Random(seed)
    lists = [[rng.randrange(tokenizer.get_vocab_size()) for _ in range(rng.randint(1, 12))]
             for _ in range(20)]
    decode_only = [{
        "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False),
        "decoded_skip_special": tokenizer.decode(ids, skip_special_tokens=True)}
        for ids in lists]
    return {"cases": cases, "decode_only": decode_only}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n")


def save(name, tokenizer, seed):
    folder = OUT / name
    write(folder / "tokenizer.json", json.loads(tokenizer.to_str()))
    write(folder / "cases.json", hf_cases(tokenizer, TEXTS + random_texts(12, seed), seed))


def train(tokenizer, size, ascii_only=False, **more):
    lines = [line for line in CORPUS.splitlines(keepends=True) if line.isascii() or not ascii_only]
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, **more)
    tokenizer.train_from_iterator(lines, trainer)


def byte_level_prefix():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    train(t, 400, special_tokens=["<s>", "</s>"],
          initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    save("byte_level_prefix", t, 1)


def byte_level_added():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.normalizer = normalizers.NFC()
    expression = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
                  r"(?i:'s|'t|'ll)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(expression), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    train(t, 380, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    t.add_special_tokens([AddedToken("<|end|>"), AddedToken("<|l|>", lstrip=True),
                          AddedToken("<|r|>", rstrip=True)])
    t.add_tokens([AddedToken("whole", single_word=True), AddedToken("café", normalized=True),
                  AddedToken("ships on"), AddedToken("ships")])
    save("byte_level_added", t, 2)


def metaspace_fallback():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(" ", 1, 0)])
    # Trained with word boundaries, used without.
    words = Tokenizer(models.BPE(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    train(words, 620, special_tokens=["<unk>", "<s>"] + bytes_, ascii_only=True)
    state = json.loads(t.to_str())
    model = json.loads(words.to_str())["model"]
    state["model"].update(vocab=model["vocab"], merges=model["merges"])
    t = Tokenizer.from_str(json.dumps(state))
    t.add_special_tokens(["<unk>", "<s>"])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    save("metaspace_fallback", t, 3)


def no_fallback():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    train(t, 260, special_tokens=["<unk>"], ascii_only=True)
    save("no_fallback", t, 4)


def sentencepiece_models():
    for name, more in {
            "sp_bpe": {"byte_fallback": True, "remove_extra_whitespaces": False},
            "sp_bpe_symbols": {"user_defined_symbols": ["<|end|>", "ships on"]},
            "sp_unigram": {"user_defined_symbols": ["<|end|>"]}}.items():
        kind = name.split("_")[1]
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        sentencepiece.SentencePieceTrainer.train(
            input=str(TOOLS / "tokenizer_corpus.txt"), model_prefix=str(folder / "tokenizer"),
            model_type=kind, vocab_size=560 if kind == "bpe" else 400,
            normalization_rule_name="identity", character_coverage=0.98,
            minloglevel=2, num_threads=1, **more)
        (folder / "tokenizer.vocab").unlink()
        sp = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model"))
        cases = []
        for text in TEXTS + random_texts(12, 5) + ["x▁ y ▁ z", "a  b   c    d e ", CORPUS]:
            if "\0" in text:
                continue
            ids = sp.encode(text)
            cases.append({"text": text, "ids": ids, "decoded": sp.decode(ids)})
        rng = random.Random(6)
        lists = [[rng.randrange(len(sp)) for _ in range(rng.randint(1, 12))] for _ in range(20)]
        write(folder / "cases.json", {
            "cases": cases, "decode_only": [{"ids": i, "decoded": sp.decode(i)} for i in lists]})


def trained_by_moge(moge):
    folder = OUT / "trained_by_moge"
    subprocess.run([moge, "tokenizer", "train", "--input", str(TOOLS / "tokenizer_corpus.txt"),
                    "--vocab-size", "420", "--out", str(folder)], check=True)
    t = Tokenizer.from_file(str(folder / "tokenizer.json"))
    write(folder / "cases.json", hf_cases(t, TEXTS + random_texts(12, 7), 7))


LETTERS = {c: i for i, c in enumerate("abcdexABÀàé_- ▁.,!?0123Ġ²中")}


def pipeline(**parts):
    """A tokenizer of single characters; unknown ones are dropped, so that cuts show as ids."""
    merges = [["a", "b"], ["ab", "c"], [" ", "a"], ["▁", "a"], ["0", "1"], ["c", "d"], [".", "."]]
    vocab = dict(LETTERS)
    for left, right in merges:
        vocab[left + right] = len(vocab)
    state = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
                  "byte_fallback": False, "ignore_merges": False, "vocab": vocab,
                  "merges": merges}}
    state.update(parts)
    return state


PIPELINE_TEXTS = ["", "abc", "ab cd", " ab  cd ", "a01b23", "abc.ab,.cd!?", "ÀBC ab", "e\u0301² ab",
                  "\u00a0ab\u0085cd", "a▁b ▁a", "ab\nab", "中abc中", "abab01ab..", "AB-ab_ab x"]


def all_pipelines():
    made = []
    for behavior in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
        for invert in [False, True]:
            for pattern in [{"String": "ab"}, {"Regex": r"[.,!?]"}, {"Regex": r"\d+|(?=c)"}]:
                made.append({"pre_tokenizer": {"type": "Split", "pattern": pattern,
                                               "behavior": behavior, "invert": invert}})
    for expression in [r"\w+", r"\W", r"[^\S\n]+", r"[^\s\w]", r"\b", r"\h+", r"a{2,3}+|b{1}?",
                       r"(?i)a|B", r"a(?i)b|C", r"(?m:b.)", r"\p{^L}+", r"[[:alpha:]]+", r"(a)(b)\1?",
                       r"[\p{Lu}\d_-]", r"\u00c0|\x{e9}|\x41", r"a++b*", r"^a|b$", r"[a-c&-]", "",
                       r"(?<=a)b", r"(?<w>a)\k<w>", r"(?>ab|a)c", r"x{,2}a", "{a", r"[^\D1]"]:
        made.append({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": expression},
                                       "behavior": "Isolated", "invert": False}})
    made += [{"pre_tokenizer": p} for p in [
        {"type": "Digits", "individual_digits": True}, {"type": "Digits", "individual_digits": False},
        {"type": "Punctuation", "behavior": "Isolated"}, {"type": "Punctuation", "behavior": "Removed"},
        {"type": "Whitespace"}, {"type": "WhitespaceSplit"},
        {"type": "CharDelimiterSplit", "delimiter": "b"},
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}]},
        {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"String": "a"}, "behavior": "Removed", "invert": False},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}]}]]
    for scheme in ["always", "first", "never"]:
        for cut in [True, False]:
            made.append({"pre_tokenizer": {"type": "Metaspace", "replacement": "▁",
                                           "prepend_scheme": scheme, "split": cut},
                         "decoder": {"type": "Metaspace", "replacement": "▁",
                                     "prepend_scheme": scheme, "split": cut}})
    made.append({"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}})
    first = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}
    normal = [{"type": "NFC"}, {"type": "NFD"}, {"type": "NFKC"}, {"type": "NFKD"},
              {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": False},
              {"type": "Strip", "strip_left": False, "strip_right": True},
              {"type": "Prepend", "prepend": "▁"},
              {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
              {"type": "Replace", "pattern": {"Regex": "b|"}, "content": "x"},
              {"type": "Replace", "pattern": {"String": "a"}, "content": ""},
              {"type": "Sequence", "normalizers": []},
              {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "Lowercase"}]}]
    for n in normal:
        made += [{"normalizer": n}, {"normalizer": n, "pre_tokenizer": first}]
    made += [{"decoder": d} for d in [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        {"type": "Fuse"}, {"type": "ByteFallback"},
        {"type": "Strip", "content": "a", "start": 1, "stop": 0},
        {"type": "Replace", "pattern": {"String": "b"}, "content": "<>"},
        {"type": "Replace", "pattern": {"Regex": "[ab]+"}, "content": "<>"},
        {"type": "Sequence", "decoders": [
            {"type": "Fuse"}, {"type": "Replace", "pattern": {"String": "babc"}, "content": "~"}]},
        {"type": "Sequence", "decoders": [
            {"type": "Fuse"}, {"type": "Replace", "pattern": {"Regex": "b. ?c"}, "content": "~"}]},
        {"type": "Sequence", "decoders": [
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 2}]},
        {"type": "Sequence", "decoders": [
            {"type": "Fuse"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]},
        {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}]}]]

    def added(content, number, **flags):
        token = {"id": number, "content": content, "single_word": False, "lstrip": False,
                 "rstrip": False, "normalized": False, "special": False}
        token.update(flags)
        return token
    size = len(LETTERS) + 7
    made += [
        {"added_tokens": [added("AB", size, normalized=True), added("b ", size + 1)],
         "normalizer": {"type": "Lowercase"}},
        {"added_tokens": [added("ab", size, single_word=True), added("..", size + 9, special=True)]},
        {"added_tokens": [added("c", size, lstrip=True, rstrip=True), added(" cd", size + 1)],
         "pre_tokenizer": first},
        {"added_tokens": [added("<x>", size + 5, special=True)], "post_processor": {
            "type": "Sequence", "processors": [
                {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False,
                 "use_regex": True},
                {"type": "TemplateProcessing",
                 "single": [{"SpecialToken": {"id": "<x>", "type_id": 0}},
                            {"Sequence": {"id": "A", "type_id": 0}},
                            {"SpecialToken": {"id": "_", "type_id": 0}}],
                 "pair": [], "special_tokens": {
                     "<x>": {"id": "<x>", "ids": [size, 3], "tokens": ["<x>", "d"]},
                     "_": {"id": "_", "ids": [11], "tokens": ["_"]}}}]}}]
    return made


def pipelines():
    out = []
    for parts in all_pipelines():
        t = Tokenizer.from_str(json.dumps(pipeline(**parts)))
        cases = []
        for text in PIPELINE_TEXTS:
            try:
                ids = t.encode(text).ids
                cases.append([text, ids, t.decode(ids, skip_special_tokens=False)])
            except BaseException as panic:  # a few texts make the library itself panic
                assert type(panic).__name__ == "PanicException", panic
        out.append({"parts": parts, "cases": cases})
    write(OUT / "pipelines.json", {"base": pipeline(), "pipelines": out})


def fuzz_seeds():
    """A few of the pipelines, as seeds of tokenizer_json_fuzz."""
    folder = TOOLS.parent / "fuzz" / "tokenizer_json_fuzz"
    for i, parts in enumerate(all_pipelines()):
        if i % 7 == 0 or "added_tokens" in parts:
            write(folder / f"pipeline_{i}.json", pipeline(**parts))
    state = pipeline(normalizer={"type": "NFC"})
    state["model"].update(byte_fallback=True, fuse_unk=True, unk_token="x", ignore_merges=True)
    state["model"]["vocab"].update({f"<0x{b:02X}>": 40 + b for b in range(256)})
    write(folder / "byte_fallback.json", state)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    byte_level_prefix()
    byte_level_added()
    metaspace_fallback()
    no_fallback()
    sentencepiece_models()
    pipelines()
    fuzz_seeds()
    trained_by_moge(sys.argv[1])


if __name__ == "__main__":
    main()
