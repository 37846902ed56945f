"""The documentation holds: links, commands, the tree, generated pages, and the answer on the first screen."""

import ast
import inspect
import json
import os
import pydoc
import re
import shlex
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README, CHANGELOG = ROOT / "README.md", ROOT / "CHANGELOG.md"
GENERATED = {
    "features.md": ("features.py", "--markdown"),
    "configuration.md": ("-m", "fairmeter.cli.settings_page"),
}
WRITTEN_BY_TRAINING = {"model-card.md"}
PAGES = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    ROOT / "benchmarks" / "README.md",
    ROOT / "data" / "README.md",
    *PAGES,
]
MAX_LINES, MAX_README_LINES = 250, 200
# Data that is not in the repository, and files that commands of the documentation write.
ELSEWHERE = (
    "archive.zip",
    "london_daily.parquet",
    "sgcc_jan2014.csv.gz",
    "my/",
    "report/",
    "run/",
    "site/",
    "model.bin",
)
DOTTED = re.compile(r"(?:benchmarks|fairmeter|tests)(?:/[\w.-]+)+/?")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def text_of(document):
    return document.read_text(encoding="utf-8")


def run(*arguments):
    """Standard output of a Python command in the repository, without the settings of this machine."""
    settings = ("DATABASE_URL", "OPEN", "MODEL_PATH", "API_KEY")
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- links and paths --------------------------------------------------------------------------------------------------


def links(document):
    """Targets of a page's links and pictures within the repository."""
    prose = FENCE.sub("", text_of(document))
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"[a-z]+:", target)]


@cache
def anchors(document):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text_of(document)), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_every_link_leads_to_a_file_and_a_heading(document):
    for target in links(document):
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@each_document
def test_every_module_and_folder_that_is_named_exists(document):
    if document == CHANGELOG:
        pytest.skip("names paths of earlier versions")
    for path in DOTTED.findall(text_of(document)):
        assert "NNNN" in path or (ROOT / path.rstrip("./")).exists(), path


def test_every_page_stands_in_the_index_and_in_the_site():
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES:
        assert f"({page.name}" in text_of(ROOT / "docs" / "index.md") or page.name == "index.md", page.name
        assert f": {page.name}\n" in site, page.name


# --- sizes ------------------------------------------------------------------------------------------------------------


@each_document
def test_no_page_is_too_long(document):
    if document.name in GENERATED | dict.fromkeys(WRITTEN_BY_TRAINING):
        pytest.skip("made by a command")
    limit = MAX_README_LINES if document == README else MAX_LINES
    assert text_of(document).count("\n") <= limit


# --- what code generates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", GENERATED)
def test_generated_pages_are_what_the_code_generates(page):
    assert text_of(ROOT / "docs" / page) == run(*GENERATED[page])


def test_the_tree_names_exactly_the_packages():
    tree = next(block for _, block in FENCE.findall(text_of(README)) if "fairmeter/\n" in block)
    named = re.findall(r"^  (\w+)/ ", tree, re.M)
    there = [path.parent.name for path in (ROOT / "fairmeter").glob("*/__init__.py")]
    assert sorted(named) == sorted(there)
    assert len(named) == len(set(named))
    for path in re.findall(r"^([\w.]+)[/ ]", tree, re.M):
        assert (ROOT / path).exists(), path


def test_every_package_has_a_row_in_the_architecture():
    rows = re.findall(r"^\| `(\w+)` \|", text_of(ROOT / "docs" / "architecture.md"), re.M)
    assert sorted(rows) == sorted(path.parent.name for path in (ROOT / "fairmeter").glob("*/__init__.py"))


def imported_packages(path):
    """The packages of fairmeter that a file imports."""
    statements = [node for node in ast.walk(ast.parse(text_of(path))) if isinstance(node, ast.ImportFrom)]
    return {node.module.split(".")[1] for node in statements if (node.module or "").startswith("fairmeter.")}


def test_every_arrow_of_the_picture_is_an_import():
    blocks = FENCE.findall(text_of(ROOT / "docs" / "architecture.md"))
    picture = next(block for kind, block in blocks if kind == "mermaid")
    chains = [re.split(r"\s*-->\s*", line.strip()) for line in picture.splitlines() if "-->" in line]
    arrows = [pair for chain in chains for pair in pairwise(chain)]
    assert len(arrows) > 15
    for package, other in arrows:
        files = ROOT.glob("*.py") if package == "root" else (ROOT / "fairmeter" / package).rglob("*.py")
        assert any(other in imported_packages(file) for file in files), f"{package} does not import {other}"


# --- commands ---------------------------------------------------------------------------------------------------------


def commands(document):
    """Every command of a page, in code blocks and in sentences, as words: (program, words)."""
    shell = [block for language, block in FENCE.findall(text_of(document)) if language == "sh"]
    lines = [line for block in shell for line in block.replace("\\\n", " ").splitlines()]
    prose = re.sub(r"\s+", " ", FENCE.sub("", text_of(document)))
    for line in (*lines, *re.findall(r"`([^`]+)`", prose)):
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # an apostrophe, or JSON over several lines: no command of ours
            continue
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words = words[1:]
        if len(words) > 1 and words[0] in ("python", "flask", "make"):
            yield words[0], words[1:]


@cache
def options_of(script):
    """The options of a script. [script: "train.py", or the dotted name of a module]"""
    if script in ("train.py", "score.py") or script.startswith("fairmeter."):
        command = (script,) if script.endswith(".py") else ("-m", script)
        return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", run(*command, "--help")))
    path = script if script.endswith(".py") else f"{script.replace('.', '/')}.py"
    return set(re.findall(r'"(--[a-z][a-z-]*)"', text_of(ROOT / path)))


@cache
def served():
    """The commands of `flask --app predict` with their options, and the answer to the README's curl."""
    script = (
        "import json, sys, predict\n"
        "body = json.loads(sys.argv[1])\n"
        "commands = {name: [o for p in c.params for o in p.opts + p.secondary_opts]"
        " for name, c in predict.app.cli.commands.items()}\n"
        "answer = predict.app.test_client().post('/predict', json=body)\n"
        "print(json.dumps([commands, answer.status_code, answer.get_json()]))\n"
    )
    return json.loads(run("-c", script, json.dumps(curl_body())).splitlines()[-1])


def check_python(words):
    """A command that Python starts: a script or a module of ours, with options that it has."""
    if words[0] == "-c" or (words[0] == "-m" and not words[1].startswith(("benchmarks.", "fairmeter."))):
        return
    script, rest = (words[1], words[2:]) if words[0] == "-m" else (words[0], words[1:])
    if words[0] != "-m":
        assert (ROOT / script).exists(), script
    unknown = {word.partition("=")[0] for word in rest if word.startswith("--")} - options_of(script)
    assert not unknown, f"{script} has no {unknown}"
    for word in rest:
        if re.match(r"(data|benchmarks|docs)/", word) and not any(part in word for part in ELSEWHERE):
            assert (ROOT / word).exists() or (ROOT / word).parent.exists(), word


def check_flask(words):
    assert words[:2] == ["--app", "predict"]
    known, command = served()[0], words[2]
    assert command in known or command == "COMMAND", command
    assert {word for word in words[3:] if word.startswith("--")} <= set(known.get(command, [])), words


def check_make(words):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert words[0] in targets, words[0]


CHECKS = {"python": check_python, "flask": check_flask, "make": check_make}


@each_document
def test_every_command_has_the_options_that_the_page_gives_it(document):
    if document == CHANGELOG:
        pytest.skip("names commands of earlier versions")
    for program, words in commands(document):
        CHECKS[program](words)


def test_commands_are_found_where_they_stand():
    """The tests above would pass if they found none."""
    found = [(program, *words) for document in DOCUMENTS for program, words in commands(document)]
    assert ("make", "run") in found
    assert ("python", "train.py", "data/archive.zip", "--validate") in found
    assert ("flask", "--app", "predict", "audit") in found
    assert len(found) > 100


def test_names_that_contributors_look_for_are_in_the_files_of_their_section():
    settings = set(re.findall(r"^\| `(\w+)` \|", text_of(ROOT / "docs" / "configuration.md"), re.M))
    checked = 0
    for section in text_of(ROOT / "CONTRIBUTING.md").split("\n## Add ")[1:]:
        spans = re.findall(r"`([^`]+)`", section)
        names = {span for span in spans if re.fullmatch(r"[A-Z][A-Za-z_]{3,}", span)} - settings
        files = [ROOT / span for span in spans if span.endswith(".py") and "/" in span and "NNNN" not in span]
        code = "".join(text_of(file) for file in files)
        assert [name for name in names if not re.search(rf"\b{name}\b", code)] == []
        checked += len(names)
    assert checked > 8


# --- the notebook -----------------------------------------------------------------------------------------------------


def test_the_notebook_uses_names_that_there_are():
    """Imports, and attributes of the modules and classes imported; that it runs is seen where it is executed."""
    cells = json.loads((ROOT / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    tree, known = ast.parse(code), {}
    for statement in ast.walk(tree):
        if isinstance(statement, ast.ImportFrom) and statement.module.startswith(
            ("fairmeter", "benchmarks", "features")
        ):
            for alias in statement.names:
                known[alias.asname or alias.name] = pydoc.locate(f"{statement.module}.{alias.name}")
    assert len(known) > 10
    assert [name for name, found in known.items() if found is None] == []
    used = {(node.value.id, node.attr) for node in ast.walk(tree) if is_attribute_of(node, known)}
    assert [f"{name}.{attribute}" for name, attribute in used if not hasattr(known[name], attribute)] == []


def is_attribute_of(node, known):
    is_named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known
    return is_named and (inspect.ismodule(known[node.value.id]) or inspect.isclass(known[node.value.id]))


# --- the first screen -------------------------------------------------------------------------------------------------


def curl_body():
    body = re.search(r"-d '(\{\n.*?\})'\n", text_of(README), re.S)
    return json.loads(body[1])


def printed_answers(document):
    return [json.loads(block) for language, block in FENCE.findall(text_of(document)) if language == "json"]


def is_as_printed(found, printed):
    """Whether they are equal: numbers nearly, and of lists of reasons those that are printed."""
    if isinstance(printed, dict):
        return set(printed) <= set(found) and all(is_as_printed(found[key], value) for key, value in printed.items())
    if isinstance(printed, list) and printed and isinstance(printed[0], dict):
        return all(any(is_as_printed(one, wanted) for one in found) for wanted in printed)
    return found == (pytest.approx(printed, rel=1e-3) if isinstance(printed, float | list) else printed)


@pytest.mark.parametrize("document", [README, ROOT / "docs" / "api.md"], ids=lambda path: path.name)
def test_the_curl_gets_the_answer_that_is_printed(document):
    _, status, answer = served()
    (printed,) = printed_answers(document)
    assert status == 200
    assert set(printed) <= set(answer)
    for key, value in printed.items():
        assert is_as_printed(answer[key], value), key


def test_the_pages_send_one_body():
    bodies = [re.search(r"-d '(\{\n.*?\})'\n", text_of(page), re.S)[1] for page in (README, ROOT / "docs" / "api.md")]
    assert bodies[0] == bodies[1]


# --- what operators copy ----------------------------------------------------------------------------------------------


def test_alert_rules_of_prometheus_use_metrics_that_there_are():
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "fairmeter" / "web").rglob("*.py"))
    files = (ROOT / "docs" / "operations.md", *(ROOT / "deploy").glob("[gp]r*"))
    pages = "".join(file.read_text(encoding="utf-8") for file in files)
    names = {re.sub(r"_(total|bucket)$", "", name) for name in re.findall(r"\bfairmeter_[a-z_]+", pages)}
    assert len(names) > 8
    assert [name for name in names if f'"{name}"' not in code] == []
