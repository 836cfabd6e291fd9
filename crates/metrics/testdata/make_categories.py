"""Writes src/text/tokenize/categories_table.rs: the ranges of Unicode's general
categories P, S and N, as the `regex` package that sacrebleu uses knows them.

    pip install regex==2026.11.19        # Unicode 17
    python make_categories.py > ../src/text/tokenize/categories_table.rs
"""

import regex

KINDS = {"Punctuation": r"\p{P}", "Symbol": r"\p{S}", "Number": r"\p{N}"}


def ranges(pattern):
    matcher, found = regex.compile(pattern), []
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000 or not matcher.match(chr(code)):
            continue
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


def main():
    rows = [
        f"(0x{first:x},0x{last:x},{kind})"
        for first, last, kind in sorted(
            (first, last, kind[0]) for kind, pattern in KINDS.items() for first, last in ranges(pattern)
        )
    ]
    print(f"//! Made by `testdata/make_categories.py` with regex {regex.__version__}: do not edit.")
    print()
    print("use super::categories::Category::{self, Number as N, Punctuation as P, Symbol as S};")
    print()
    print("/// First and last code point of each stretch of one category, in rising order.")
    print("#[rustfmt::skip]")
    print("pub(super) const RANGES: &[(u32, u32, Category)] = &[")
    line = "   "
    for row in rows:
        if len(line) + len(row) + 2 > 98:
            print(line)
            line = "   "
        line += f" {row},"
    print(line)
    print("];")


main()
