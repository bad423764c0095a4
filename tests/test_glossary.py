"""The product speaks one language: words that ``docs/glossary.md`` avoids do not come back."""

import ast
import io
import re
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
GLOSSARY = (ROOT / "docs/glossary.md").read_text()
LEFT: dict[str, int] = {"parcel": 2, "tell": 11}
"""Places an avoided word still has, by word: may only fall."""
FORMS = {
    "barred": r"barred|barring",
    "seat": r"seats?|seated|unseat\w*",
    "silenced": r"silenced|silences|silencing",
    "forgive": r"forgiv\w+|forgave",
    "lend": r"lends?|lent|lending",
    "tell": r"tells?|told|telling",
    "to who": "to who",
    "by who": "by who",
    "for who": "for who",
}
"""As which words a bold entry is counted, where it is not just itself and its plural."""


def avoided() -> dict[str, re.Pattern[str]]:
    """Bold words of the column *Avoid*, and the pronouns."""
    cells = [line.split("|")[3] for line in GLOSSARY.splitlines() if line.count("|") == 4]
    cells += [line for line in GLOSSARY.splitlines() if line.startswith(("- A user is", "- Names before pronouns"))]
    names = {word for cell in cells for word in re.findall(r"\*\*([^*]+)\*\*", cell)} - {"they"}
    return {name: re.compile(rf"\b(?:{FORMS.get(name, name + 's?')})\b", re.IGNORECASE) for name in names}


def prose(file: Path) -> str:
    """What is written for people in a file: of Python its comments and strings, of others all but code between backticks."""
    text = file.read_text()
    if file.suffix != ".py":
        return re.sub(r"`[^`\n]*`", "", text)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    written = (token.string for token in tokens if token.type in (tokenize.COMMENT, tokenize.STRING))
    sentences = "\n".join(text for text in written if not re.fullmatch(r"[bfr]*[\"'][\w.]*[\"']", text))
    return re.sub(r"``[^`\n]*``|`[^`\n]*`|\{[^{}\n]*\}|:(?:ivar|param) \w+:", "", sentences)


def pages() -> list[Path]:
    found = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")]
    found += [page for page in (ROOT / "docs").glob("*.md") if page.name != "glossary.md"]
    return found + [file for file in (ROOT / "lanying").rglob("*.py") if not file.stem.endswith("_pb2")]


def counted() -> tuple[Counter[str], list[str]]:
    """How often each avoided word is there, and where."""
    counts: Counter[str] = Counter()
    places: list[str] = []
    words = avoided()
    for file in pages():
        text = prose(file)
        for name, pattern in words.items():
            for found in pattern.finditer(text):
                counts[name] += 1
                line = text[text.rfind("\n", 0, found.start()) + 1 :].split("\n", 1)[0].strip()
                places.append(f"{name}: {file.relative_to(ROOT)}: {line}")
    return counts, places


def test_avoided_words_do_not_come_back():
    counts, places = counted()
    more = {name for name, count in counts.items() if count > LEFT.get(name, 0)}
    assert [place for place in places if place.split(": ")[0] in more] == [], f"{counts} against {LEFT}"


def test_every_word_is_looked_for():
    assert {"he", "his", "lend", "parcel", "tell", "to who"} <= avoided().keys()
    assert set(LEFT) <= avoided().keys() and set(FORMS) <= avoided().keys()
    assert avoided()["lend"].search("entries lent for this tick") and not avoided()["he"].search("the header")


TWICE = {"Message", "Refused", "Session", "Unread"}
"""Classes of the client library, named with the words of those who program with it, and of the server."""


def test_a_name_of_a_class_means_one_thing():
    places: dict[str, list[str]] = {}
    for file in (ROOT / "lanying").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())) if not file.stem.endswith("_pb2") else ():
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(file.relative_to(ROOT / "lanying").as_posix())
    shared = {name: found for name, found in places.items() if len(found) > 1}
    assert {name: found for name, found in shared.items() if name not in TWICE} == {}, "say in the name which one it is"
    clients = {name: [file for file in shared.get(name, []) if file.startswith("client/")] for name in TWICE}
    assert all(len(found) == 1 == len(shared[name]) - 1 for name, found in clients.items()), clients
