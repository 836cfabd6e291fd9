"""Pairs of texts that are hard on measures: repeated and moved words, numbers,
punctuation next to punctuation, entities, accents, other scripts, odd white space,
empty texts. The same seed gives the same pairs.

    python text_pairs.py --count 5000 --references 2 --seed 1 --out FOLDER

writes hyp.txt, ref1.txt, ref2.txt and source.txt, a text a line.
"""

import argparse
import pathlib
import random

WORDS = """the a of to and in that is was he for it with as his on be at by had not are but from or
have an they which one you were her all she there would their we him been has when who will more no if
out so said what up its about into than them can only other new some could time these two may then do
first any my now such like our over man me even most made after also did many before must through back
years where much your way well down should because each just those people mr how too little state good
very make world still own see men work long get here between both life being under never day same
another know while last might us great old year off come since against go came right used take three
running runs ran runner jumped jumping flies flying died dying studies studied studying happily happiness
generalization generalizations organizer organization relational conditional rationally hopefulness
callousness formality sensitivity probability archaeology geology feudalism operator vietnamization
sky skies news innings proceed exceed succeed controlling rolled adoption adjustment dependent effective
car automobile physician doctor buy purchase big large house home begin start end finish children child
mice geese leaves wolves boxes churches dishes women commands military obeys party ensures action guide
enjoy enjoyment spied cried fly try yyyy by toy syzygy agreed feed bled sized hopping tanned falling
hissing fizzed failing filing cease rate probate""".split()
NAMES = "Washington IBM O'Neill McDonald's U.S. U.N. Mr. Dr. St. Paris London I'm don't we're it's".split()
NUMBERS = "0 1 7 42 3,500.25 10-20. 1.5 .5 5. 1,000,000 $3.20 12:30 3/4 2nd 50% -7 1e6 ½ Ⅻ ٣٤ 100-".split()
MARKS = """. , ; : ! ? ... .. ,, ., -- - ( ) [ ] { } " ' ` `` '' / \\ & @ # $ % ^ * + = < > | ~ _ … — – « » “ ” ’ ¿ ¡
€ £ © ™ ° 。 ， 、 ！ ？ （ ） 「 」 ・ *d""".split()
ENTITIES = "&quot; &amp; &lt; &gt; &amp;lt; &apos; <skipped> &quot;x&quot; a&amp;b".split()
OTHERS = """café naïve Straße İstanbul ΣΑΣ ὈΔΥΣΣΕΎΣ résumé cafe\u0301 他们今天下午去了北京大学 东京 日本語のテキスト カタカナ ひらがな 한국어
привет мир Привет مرحبا नमस्ते 😀 👩‍👩‍👧 🇫🇷 \u212aelvin \ufb01ne \u00adsoft zero\u200bwidth \u2001 \u2026 ǅ ﬀ ß ẞ 𝔘𝔫𝔦 𠀀𠀁
a_b x*y w/o e-mail end-of-line foo*ded 日本。 ２０２６ ㈱ ㍿ ⾁ ⺀ Ａ Ｂ""".split(" ")
SPACES = [" "] * 40 + ["  ", "\t", "\u00a0", "\u3000", "\u2009", "\u1680", ""]


def word(rng):
    kind = rng.random()
    if kind < 0.62:
        text = rng.choice(WORDS)
        style = rng.random()
        return text.capitalize() if style < 0.08 else text.upper() if style < 0.1 else text
    for limit, choices in ((0.68, NAMES), (0.74, NUMBERS), (0.9, MARKS), (0.93, ENTITIES)):
        if kind < limit:
            return rng.choice(choices)
    return rng.choice(OTHERS).replace("\n", " ")


def joined(rng, words):
    parts = []
    for token in words:
        if parts and not (token in MARKS and rng.random() < 0.6):
            parts.append(rng.choice(SPACES))
        parts.append(token)
    return "".join(parts)


def changed(rng, words):
    """Another wording: words dropped, added, replaced, and stretches moved."""
    words = list(words)
    for _ in range(rng.randint(0, 1 + len(words) // 4)):
        at = rng.randrange(len(words) + 1)
        act = rng.random()
        if act < 0.25 and words:
            del words[at % len(words)]
        elif act < 0.5:
            words.insert(at, word(rng))
        elif act < 0.75 and words:
            words[at % len(words)] = word(rng)
        elif words:
            end = min(len(words), at + rng.randint(1, 6))
            moved, rest = words[at:end], words[:at] + words[end:]
            target = rng.randrange(len(rest) + 1)
            words = rest[:target] + moved + rest[target:]
    return words


def pairs(count, references, seed):
    """Tuples of a text, its references, and a source."""
    rng = random.Random(seed)
    for number in range(count):
        kind = rng.random()
        length = 0 if kind < 0.02 else rng.randint(1, 6) if kind < 0.2 else rng.randint(5, 40)
        if kind > 0.97:
            length = rng.randint(80, 160)
        base = [word(rng) for _ in range(length)]
        versions = []
        for _ in range(references + 1):
            other = rng.random()
            if other < 0.03:
                versions.append([])
            elif other < 0.1:
                versions.append([word(rng) for _ in range(rng.randint(1, 30))])
            else:
                versions.append(changed(rng, base))
        source = base + [word(rng) for _ in range(rng.randint(20, 120))]
        texts = [joined(rng, version) for version in versions]
        yield texts[0], texts[1:], joined(rng, source)


def plain(count, references, seed):
    """The same with words of one case and a final full stop, as translations are."""
    rng = random.Random(seed)
    for _ in range(count):
        base = [rng.choice(WORDS) for _ in range(rng.randint(15, 35))]
        edit = lambda: [rng.choice(WORDS) if rng.random() < 0.2 else token for token in base]
        texts = [" ".join(edit()).capitalize() + "." for _ in range(references + 1)]
        yield texts[0], texts[1:], " ".join(base)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=5000)
    arguments.add_argument("--references", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--plain", action="store_true")
    arguments.add_argument("--out", type=pathlib.Path, required=True)
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    make = plain if options.plain else pairs
    rows = list(make(options.count, options.references, options.seed))
    columns = {"hyp": [row[0] for row in rows], "source": [row[2] for row in rows]}
    for number in range(options.references):
        columns[f"ref{number + 1}"] = [row[1][number] for row in rows]
    for name, texts in columns.items():
        assert not any("\n" in text or "\r" in text for text in texts)
        (options.out / f"{name}.txt").write_text("".join(f"{text}\n" for text in texts), "utf-8")


if __name__ == "__main__":
    main()
