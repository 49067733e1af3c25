"""Patterns: every way to write a set down, and what they choose of fine-tunes and stored task vectors."""

from __future__ import annotations

from typing import Any

from generator.cases import Case
from generator.writing import f32, integers

Json = Any

# id, pattern, names that it matches, names that it does not, why
SETS: list[tuple[str, str, list[str], list[str], str]] = [
    ("bracket-first", "[]]", ["]"], ["[", "[]", "[]]", ""], "a ] directly behind [ belongs to the set"),
    ("bracket-first-more", "[]a]", ["]", "a"], ["[]a]", "[", "]a"], "and others behind it"),
    ("bracket-first-outside", "[!]]", ["a", "!", "["], ["]", "", "[!]]"], "a ] directly behind [! belongs to the set"),
    ("bracket-first-range", "[]-a]", ["]", "^", "_", "`", "a"], ["-", "b", "["], "and may begin a range"),
    ("bracket-second", "[a]]", ["a]"], ["a", "]", "[a]]"], "any later ] closes the set"),
    ("bracket-open-inside", "[[]", ["["], ["]", "[[]", ""], "a [ inside a set is one of it"),
    ("bracket-open-inside-more", "[[a]b", ["[b", "ab"], ["[[a]b", "b"], "and begins no second set"),
    ("unclosed", "[a", ["[a"], ["a", "[", ""], "a [ that no ] closes stands for itself"),
    ("unclosed-alone", "[", ["["], ["", "[]", "a"], "a [ alone"),
    ("unclosed-end", "a[", ["a["], ["a", "[", "a[]"], "a [ at the end"),
    ("unclosed-empty", "[]", ["[]"], ["", "[", "]"], "the ] behind [ belongs to the set: nothing closes it"),
    ("unclosed-empty-outside", "[!]", ["[!]"], ["!", "]", "a"], "the ] behind [! likewise"),
    ("unclosed-not", "[!", ["[!"], ["!", "a", "["], "[! that nothing closes"),
    ("unclosed-wild", "[a*?", ["[ab", "[abc"], ["[a", "a", "ab"], "* and ? behind it keep their meaning"),
    ("unclosed-second", "[a][b", ["a[b"], ["ab", "[a][b", "a["], "a set, then a [ that nothing closes"),
    ("unclosed-range", "[a-", ["[a-"], ["a", "-", "["], "a range that nothing closes"),
    ("reversed", "[c-a]", [], ["a", "b", "c", "-", "[c-a]", ""], "a range whose ends are out of order holds nothing"),
    ("reversed-more", "[c-ax]", ["x"], ["a", "b", "c", "-"], "what stands beside it counts"),
    ("reversed-outside", "[!c-a]", ["a", "b", "c", "-"], ["", "ab"], "and everything is outside of nothing"),
    ("range-of-one", "[b-b]", ["b"], ["a", "c", "-"], "a range of one"),
    ("dash-last", "[a-]", ["a", "-"], ["b", "", "a-"], "a - at the end stands for itself"),
    ("dash-first", "[-a]", ["a", "-"], ["b", ""], "a - at the start stands for itself"),
    ("dash-first-outside", "[!-a]", ["b", "!"], ["-", "a"], "a - behind [! stands for itself"),
    ("dash-alone", "[-]", ["-"], ["", "[-]"], "a - alone"),
    ("dash-as-end", "[+--]", ["+", ",", "-"], [".", "*"], "a - may be the end of a range"),
    ("dash-as-start", "[--0]", ["-", ".", "/", "0"], [",", "1"], "and its start: from left to right, - to 0"),
    ("dash-behind-range", "[a-c-e]", ["a", "b", "c", "-", "e"], ["d", "f"],
     "read from left to right: a to c, then a - that makes no range, then e"),
    ("two-ranges", "[a-cx-z]", ["a", "c", "x", "y"], ["d", "-", "w"], "two ranges"),
    ("caret", "[^a]", ["^", "a"], ["b", "!", "[^a]"], "^ stands for itself: only ! turns a set round"),
    ("exclamation-later", "[a!]", ["a", "!"], ["b"], "a ! that is not first stands for itself"),
    ("exclamation-twice", "[!!]", ["a", "]"], ["!", ""], "all but !"),
    ("wild-in-set", "[*?]", ["*", "?"], ["a", "", "**"], "* and ? inside a set stand for themselves"),
    ("backslash", "\\*", ["\\", "\\a"], ["*", "a", ""], "a backslash stands for itself, and * keeps its meaning"),
    ("backslash-set", "\\[a]", ["\\a"], ["[a]", "a", "\\[a]"], "a backslash escapes no ["),
    ("backslash-in-set", "[\\]a]", ["\\a]"], ["]", "a", "\\"], "nor a ] in a set"),
    ("backslash-n", "\\n", ["\\n"], ["\n", "n"], "nor does it make a line feed"),
    ("regular", "a.b+(c)$|^{2}", ["a.b+(c)$|^{2}"], ["axb+(c)$|^{2}", "a.bbc", ""],
     "signs of regular expressions stand for themselves"),
    ("empty-set-names", "", [""], ["a", "[]"], "the empty pattern matches the empty name"),
    ("case-set", "[a-c]", ["b"], ["B", "A"], "case counts in sets"),
    ("braces", "{a,b}", ["{a,b}"], ["a", "b"], "braces stand for themselves"),
]  # fmt: skip

CODE_POINTS: list[tuple[str, str, list[str], list[str], str]] = [
    ("one-astral", "?", ["\U0001f600", "\u00e9", "\n"], ["e\u0301", "\U0001f600a", "\r\n"],
     "one code point: an astral one is one, a letter and its accent are two"),
    ("two-astral", "??", ["e\u0301", "\U0001f600a", "\r\n"], ["\U0001f600", "\u00e9"], "two code points"),
    ("set-astral", "[\U0001f600]", ["\U0001f600"], ["\U0001f601", "a"], "an astral code point in a set"),
    ("outside-astral", "[!a]", ["\U0001f600", "\n"], ["a", ""], "one code point outside a set"),
    ("range-astral", "[\ufffe-\U00010001]", ["\uffff", "\U00010000"], ["\ufffd", "\U00010002"],
     "a range by code points: in UTF-16 its ends are out of order"),
    ("star-line-feed", "a*b", ["a\nb", "a\n\nb", "ab", "a\u2028\r\nb"], ["a\nb\n", "\nab"],
     "* matches line feeds"),
    ("star-final-line-feed", "*", ["\n", "a\n", ""], [], "and at the end"),
    ("literal-final-line-feed", "a", ["a"], ["a\n", "\na"],
     "the whole name: `$` of many regular expressions lets a line feed pass"),
    ("never-normalised", "\u00e9", ["\u00e9"], ["e\u0301"], "names and patterns are never normalised"),
    ("case-non-ascii", "[\u00c0-\u00d6]", ["\u00c9"], ["\u00e9"], "case counts beyond ASCII"),
]  # fmt: skip

BASE = {"a.w": f32(1), "a.b": f32(1), "b": f32(1), "n": integers("I8", 1)}
TUNED = {"a.w": f32(2), "a.b": f32(3), "b": f32(4), "n": integers("I8", 1)}
FINETUNED: list[tuple[str, Json, Json, Json, str]] = [
    ("empty-take", TUNED, {"take": []}, {"a.w": f32(1), "a.b": f32(2), "b": f32(3)}, "an empty list takes everything"),
    ("empty-take-leave", TUNED, {"take": [], "leave": ["b"]}, {"a.w": f32(1), "a.b": f32(2)},
     "an empty list takes everything, and b is left"),
    ("empty-take-missing", {"a.w": f32(2), "a.b": f32(3), "n": integers("I8", 1)}, {"take": []},
     {"rule": "NamesError", "tensor": "b"}, "and a missing name is missing"),
    ("empty-leave", TUNED, {"take": ["a.?"], "leave": []}, {"a.w": f32(1), "a.b": f32(2)}, "an empty list leaves none"),
    ("left-all", TUNED, {"leave": ["*"]}, {}, "everything is left out: nothing is looked at"),
    ("take-two", TUNED, {"take": ["a.w", "b"]}, {"a.w": f32(1), "b": f32(3)}, "some pattern, not all"),
    ("take-and-leave", TUNED, {"take": ["b"], "leave": ["b"]}, {}, "what is taken and left is left"),
]  # fmt: skip
STORED: list[tuple[str, Json, Json, Json, str]] = [
    ("leave", {"a.w": f32(1), "b": f32(2)}, {"leave": ["b"]}, {"a.w": f32(1)}, "a tensor that was left out"),
    ("take", {"a.w": f32(1), "a.b": f32(3), "b": f32(2)}, {"take": ["a.*"]}, {"a.w": f32(1), "a.b": f32(3)},
     "tensors that were taken"),
    ("empty-take", {"a.w": f32(1), "b": f32(2)}, {"take": []}, {"a.w": f32(1), "b": f32(2)},
     "an empty list takes everything"),
    ("leave-unknown", {"a.w": f32(1), "x": f32(2)}, {"leave": ["x"]}, {"a.w": f32(1)},
     "a name that the base lacks, left out"),
    ("leave-nan", {"a.w": f32(1), "b": f32("nan")}, {"leave": ["b"]}, {"a.w": f32(1)}, "a NaN, left out"),
    ("leave-integers", {"a.w": f32(1), "n": integers("I8", 1)}, {"leave": ["n"]}, {"a.w": f32(1)},
     "a tensor that is not float, left out"),
    ("leave-shape", {"a.w": f32(1), "b": f32(1, 2)}, {"take": ["a*"]}, {"a.w": f32(1)}, "another shape, not taken"),
    ("take-unknown", {"a.w": f32(1), "x": f32(2)}, {"take": ["x", "a.w"]}, {"rule": "NamesError", "tensor": "x"},
     "a name that the base lacks, taken"),
    ("take-absent", {"a.w": f32(1)}, {"take": ["a.w", "b"]}, {"a.w": f32(1)}, "a stored task vector may lack any"),
]  # fmt: skip


def says(tau: Json) -> Json:
    return tau if "rule" in tau else {"tau": tau}


CASES = [
    *(
        Case("pattern", f"pattern-{i}", "CT-8", why, {"pattern": text, "names": yes + no}, {"matches": yes})
        for i, text, yes, no, why in [*SETS, *CODE_POINTS]
    ),
    *(
        Case("task-vector", f"task-vector-pattern-{i}", "CT-8 TV-8", why,
             {"base": BASE, "finetuned": tuned, **options}, says(tau))
        for i, tuned, options, tau, why in FINETUNED
    ),
    *(
        Case("stored-task-vector", f"stored-pattern-{i}", "CT-8 TV-8", why,
             {"base": BASE, "stored": stored, **options}, says(tau))
        for i, stored, options, tau, why in STORED
    ),
]  # fmt: skip
