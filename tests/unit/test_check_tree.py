"""Each check of scripts/check_tree.py finds what it is for, on a small tree of its own."""

from __future__ import annotations

import re

import pytest
from check_tree import CHECKS, main
from tree_checks.docstrings import VAGUE, VERBS
from tree_checks.glossary import GlossaryError, retired_words
from tree_checks.tree import Tree
from tree_checks.words import split_python

GLOSSARY = r"""# Contributing

## Glossary

Never write "zebra".

### Retired words

| retired | use instead | scope |
| --- | --- | --- |
| `zebra` | `horse` | both |
| `wild goose chase` | search | prose |
| `Llama` | `Camel` | names |
| `/(?i)giraf(e\|fe)/` | okapi | both |

## Targets
"""


@pytest.fixture
def findings(tmp_path):
    """Return a function that writes files into an empty tree and runs one check on it."""

    def run(check, files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return [str(finding) for finding in CHECKS[check](Tree(tmp_path))]

    return run


@pytest.fixture
def words(findings):
    """Return a function that runs the check of retired words on one file, with the glossary above."""

    def run(name, text):
        return findings("words", {"CONTRIBUTING.md": GLOSSARY, name: text})

    return run


def in_package(**modules):
    """Return files of the package from module paths with ``__`` for each slash."""
    return {f"airflow_provider_arm/{name.replace('__', '/')}.py": text for name, text in modules.items()}


def test_addresses_when_a_file_names_an_index_or_a_machine_path(findings):
    """A package index's address and a path of one machine are found in any text file."""
    index, home = "https://py" + "pi.org/x", "/home" + "/me"
    assert findings("addresses", {"a.md": f"fine\n{index}\n", "b.toml": f"x = '{home}'\n", "c.md": "fine"}) == [
        "a.md:2: names a package index",
        "b.toml:1: names a path of one machine",
    ]


def test_addresses_when_a_file_is_binary(tmp_path):
    """A file that is no text is skipped."""
    (tmp_path / "a.bin").write_bytes(b"\xff\xfe\x00")
    assert list(CHECKS["addresses"](Tree(tmp_path))) == []


def test_lengths_when_a_module_or_function_is_too_long(findings):
    """401 lines in a module and 41 in a function are too many; a constructor that only assigns may be longer."""
    body = "    x = 1\n" * 40
    found = findings(
        "lengths",
        in_package(
            long="\n" * 401,
            full="\n" * 400,
            functions=f"def f():\n{body}\n\ndef g():\n{body[:-10]}\nclass A:\n    def __init__(self):\n"
            + "        self.x = 1\n" * 60,
        ),
    )
    assert found == [
        "airflow_provider_arm/functions.py:1: f() has 41 lines, at most 40 allowed",
        "airflow_provider_arm/long.py: 401 lines, at most 400 allowed",
    ]


@pytest.mark.parametrize("folder", ["client", "export", "reconcile", "submission"])
def test_floats_when_an_exact_folder_calls_float(findings, folder):
    """float() is found where amounts live, and nowhere else."""
    files = in_package(**{f"{folder}__inner__a": "x = float('1')\n", "sandbox__a": "x = float('1')\n"})
    assert findings("floats", files) == [
        f"airflow_provider_arm/{folder}/inner/a.py:1: float() is not exact; use Decimal"
    ]


def test_sizes_when_a_folder_holds_too_many_modules(findings):
    """15 modules are too many, 14 beside the __init__.py are not."""
    modules = {f"client__m{number}": "" for number in range(15)} | {f"export__m{number}": "" for number in range(14)}
    assert findings("sizes", in_package(export____init__="", **modules)) == [
        "airflow_provider_arm/client: 15 modules, at most 14 allowed: split it by subject"
    ]


def test_sizes_when_an_inner_folder_holds_too_few_modules(findings):
    """Three modules are too few for a folder inside a folder; a folder at the top of the package may hold one."""
    modules = {f"submission__journal__m{number}": "" for number in range(3)}
    modules |= {f"submission__sources__m{number}": "" for number in range(4)}
    files = in_package(hooks__arm="", **modules) | {"airflow_provider_arm/submission/journal/__init__.py": ""}
    assert findings("sizes", files) == [
        "airflow_provider_arm/submission/journal: 3 modules, at least 4 needed: move them into the folder above"
    ]


def test_classes_when_a_name_is_used_twice(findings):
    """Private and nested classes count as well; tests may repeat a name of the package."""
    files = in_package(
        a="class Plan: ...\nclass _Line: ...\n", b="class Outer:\n    class Plan: ...\ndef f():\n    class _Line: ...\n"
    )
    assert findings("classes", files | {"tests/test_a.py": "class Plan: ...\n"}) == [
        f"airflow_provider_arm/b.py:{line}: class {name} is also in {first}: rename one after what it holds"
        for line, name, first in [
            (2, "Plan", "airflow_provider_arm/a.py:1"),
            (4, "_Line", "airflow_provider_arm/a.py:2"),
        ]
    ]


@pytest.mark.parametrize(
    ("docstring", "problem"),
    [
        ("Return the rows.", None),
        ("Wait, at most a minute.", None),
        ("", None),
        ("Give the rows.", "begins with 'Give'; use Return, Yield or Build"),
        ("Returns the rows.", "begins with 'Returns', no verb of VERBS"),
        ("The rows.", "begins with 'The', no verb of VERBS"),
        ("return the rows.", "begins with 'return', no verb of VERBS"),
        ("``rows`` of a page.", "begins with '``rows``', no verb of VERBS"),
    ],
)
def test_docstrings_by_the_first_word_of_a_function(findings, docstring, problem):
    """Only an imperative verb of the list may begin the docstring of a function, a method or an inner function."""
    code = f'class A:\n    def f(self):\n        async def g():\n            """{docstring}"""\n'
    found = findings("docstrings", in_package(a=code))
    assert [message.partition(" (")[0] for message in found] == (
        [f"airflow_provider_arm/a.py:3: g: the docstring {problem}"] if problem else []
    )


@pytest.mark.parametrize("decorator", ["property", "cached_property", "functools.cached_property", "rows.setter"])
def test_docstrings_of_properties_may_be_noun_phrases(findings, decorator):
    """A property may begin with a noun, but not with a vague verb."""
    code = f'class A:\n    @{decorator}\n    def rows(self):\n        """{{}} rows."""\n'
    assert findings("docstrings", in_package(a=code.format("The"))) == []
    assert len(findings("docstrings", in_package(a=code.format("Give")))) == 1


def test_docstring_verbs_contain_no_vague_one():
    """A verb is either allowed or vague, and each is written as it begins a sentence."""
    assert not VERBS & set(VAGUE)
    assert all(re.fullmatch("[A-Z][a-z]+", verb) for verb in VERBS)


@pytest.mark.parametrize(
    ("code", "identifier", "word"),
    [
        ("zebra = 1", "zebra", "zebra"),
        ("x = y.the_zebra_of", "the_zebra_of", "zebra"),
        ("f(ZEBRA=1)", "ZEBRA", "zebra"),
        ("class WhiteZebra: ...", "WhiteZebra", "zebra"),
        ("class _Llama: ...", "_Llama", "Llama"),
        ("class LlamaHTTPError: ...", "LlamaHTTPError", "Llama"),
        ("girafes = 1", "girafes", "/(?i)giraf(e|fe)/"),
        ("x = HTTPGiraffe()", "HTTPGiraffe", "/(?i)giraf(e|fe)/"),
    ],
)
def test_words_when_a_name_contains_one(words, code, identifier, word):
    """A retired word is found in every kind of identifier, as one of its words; a regular expression anywhere in it."""
    (found,) = words("a.py", f"\n{code}\n")
    assert found.startswith(f"a.py:2: the name {identifier!r} contains {word!r}; use ")


@pytest.mark.parametrize(
    "code", ["zebras = 1", "llama = 1", "x = {'Llama': 1}  # a Llama", "wild_goose_chase = 1", "Llamas = 1"]
)
def test_words_when_no_name_contains_one(words, code):
    """Longer words, another case of a word with a capital, and text out of a row's scope are no findings."""
    assert words("a.py", code) == []


@pytest.mark.parametrize("name", ["zebra.py", "zebra/a.py", "tests/test_the_zebra.py"])
def test_words_when_a_file_name_contains_one(words, name):
    """The names of Python files and of their folders are names."""
    assert words(name, "") == [
        f"{name}: the name {'test_the_zebra' if 'test' in name else 'zebra'!r} contains 'zebra'; use `horse`"
    ]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.py", '"""A Zebra."""\n', 1),
        ("a.py", "x = 1\ny = 'the zebra\\n'\n", 2),
        ("a.py", "x = 1  # one zebra\n", 1),
        ("a.py", "x = f'{1} zebra {2}'\n", 1),
        ("a.py", "x = f'{1} a {2}' + (\n  'nice' '\\nzebra')\n", 2),
        ("a.md", "# Title\n\n`zebra=1`\n", 3),
        ("a.toml", "x = 1 # zebra\n", 1),
        ("scripts/a", "#!/bin/sh\nzebra\n", 2),
        ("a.yaml", "zebra: 1\n", 1),
        ("docs/CONTRIBUTING.md", "zebra\n", 1),
    ],
)
def test_words_when_text_contains_one(words, name, text, line):
    """A retired word is found in comments, docstrings, strings and every other text file."""
    (found,) = words(name, text)
    assert found.lower() == f"{name}:{line}: 'zebra' is retired; use `horse`".lower()


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("a.py", "x = (\n    'a wild '\n    'goose chase'\n)\n", 1),
        ("a.py", "#: A wild\n#: goose chase.\nx = 1\n", 1),
        ("a.py", '"""A wild\n    goose chase."""\n', 1),
        ("a.py", "f('a wild', 'goose chase')\n", 0),
        ("a.py", "x = 'wild'  # then\ny = 'goose chase'\n", 0),
        ("a.md", "A Wild\ngoose chase.\n", 1),
        ("a.md", "A wild goose chased.\n", 0),
    ],
)
def test_words_when_a_phrase_spans_lines(words, name, text, count):
    """A phrase is found across line breaks of one text, and not across code."""
    assert len(words(name, text)) == count


def test_words_allowed_in_the_glossary_and_the_renamed_section(findings):
    """The glossary's section and the changelog's table of renames may hold retired words, the rest of both may not."""
    changelog = "# Changelog\n\n## 1.0\n\n### Renamed\n\nzebra\n\n#### More\n\nzebra\n\n### Fixed\n\nzebra\n"
    files = {"CONTRIBUTING.md": GLOSSARY + "\nA zebra.\n", "CHANGELOG.md": changelog}
    assert findings("words", files) == [
        "CHANGELOG.md:15: 'zebra' is retired; use `horse`",
        "CONTRIBUTING.md:18: 'zebra' is retired; use `horse`",
    ]


@pytest.mark.parametrize("name", ["LICENSE", "constraints.txt", "tests/data/arm_examples/a.json"])
def test_words_allowed_in_text_of_others(words, name):
    """The licence, pins and ARM's own examples are not ours to word."""
    assert words(name, "zebra==1\n") == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("### Retired words", "### Words", 'CONTRIBUTING.md: no heading "### Retired words"'),
        (GLOSSARY.partition("words\n")[2], "\nNone.\n", 'CONTRIBUTING.md: the section "Retired words" has no table'),
        (
            "| retired | use",
            "| word | use",
            "CONTRIBUTING.md:9: the table must begin with the row | retired | use instead |",
        ),
        ("| --- | --- | --- |", "", "CONTRIBUTING.md:9: the row after the table's first must be | --- | --- | --- |"),
        ("search | prose", "search", "CONTRIBUTING.md:12: 2 cells, 3 needed"),
        (r"e\|fe", "e|fe", "CONTRIBUTING.md:14: 4 cells, 3 needed"),
        ("search | prose", "search | text", "CONTRIBUTING.md:12: the scope of `wild goose chase` is 'text'"),
        ("search | prose", "| prose", "CONTRIBUTING.md:12: `wild goose chase` has no word to use instead"),
        ("`Llama`", "Llama", "CONTRIBUTING.md:13: 'Llama' must be one word, phrase or /regex/ in backticks"),
        ("`Llama`", "`Llama`, `Alpaca`", "CONTRIBUTING.md:13: '`Llama`, `Alpaca`' must be one word"),
        (r"(?i)giraf(e\|fe)", "giraf(", "CONTRIBUTING.md:14: '/giraf(/' is no regular expression"),
    ],
)
def test_glossary_when_the_table_is_malformed(old, new, message):
    """A missing table and a malformed row are named with their line."""
    assert old in GLOSSARY
    with pytest.raises(GlossaryError, match=re.escape(message)):
        retired_words(GLOSSARY.replace(old, new))


def test_glossary_rows():
    """Each row's scope decides where its word is searched."""
    rows = retired_words(GLOSSARY)
    assert [(row.text, row.name is not None, row.prose is not None) for row in rows] == [
        ("zebra", True, True),
        ("wild goose chase", False, True),
        ("Llama", True, False),
        ("/(?i)giraf(e|fe)/", True, True),
    ]


def test_split_python_keeps_the_length_and_the_lines():
    """The text of a module has its length and its line breaks, so that a finding names the right line."""
    code = 'def f(x):  # a comment\n    """A docstring,\n    of two lines."""\n    return f"{x}é" "\\n"\n'
    identifiers, prose = split_python(code)
    assert (len(prose), prose.count("\n")) == (len(code), code.count("\n"))
    assert [name for name, _ in identifiers][:2] == ["f", "x"]
    assert "a comment" in prose and "return" not in prose  # noqa: PT018 - one text, two sides


def test_main_groups_the_findings_of_the_chosen_checks(tmp_path, capsys):
    """--only runs the named checks, and each group has its count."""
    package = tmp_path / "airflow_provider_arm"
    package.mkdir()
    (package / "a.py").write_text('def f():\n    """Give."""\nclass A: ...\nclass A: ...\n')
    assert main(["--only", "classes,docstrings"], tmp_path) == 1
    printed = capsys.readouterr().out
    assert re.findall("^== .*", printed, re.MULTILINE) == ["== classes: 1", "== docstrings: 1"]
    assert main(["--only", "sizes"], tmp_path) == 0
    assert capsys.readouterr().out == "1 files and 1 modules pass sizes.\n"


def test_main_when_the_glossary_is_missing(tmp_path, capsys):
    """A glossary that cannot be read is a finding, not a traceback."""
    assert main(["--only", "words"], tmp_path) == 1
    assert 'no heading "### Retired words"' in capsys.readouterr().out


def test_main_when_a_check_is_unknown(tmp_path, capsys):
    """A wrong name for a check lists the right ones."""
    with pytest.raises(SystemExit):
        main(["--only", "colours"], tmp_path)
    assert "unknown check colours; choose from addresses, lengths" in capsys.readouterr().err
