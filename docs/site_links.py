"""mkdocs hook: pages of the repository's root join the site, and links to other files become their names.

In:  the files and pages of docs/, whose links are those that GitHub follows.
Out: CONTRIBUTING.md, CHANGELOG.md, SECURITY.md and benchmarks/README.md as pages; no link leads outside the site.
"""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
JOINED = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
}
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s:]+)\)")


def on_files(files, config):
    for source, page in JOINED.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown, page, **_options):
    """Rewrite the links of a page."""
    of_page = {name: source for source, name in JOINED.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return LINK.sub(lambda link: rewritten(link, (ROOT / of_page).parent), markdown)


def rewritten(link, folder):
    """A link into the site, or `text (path)` where the file is elsewhere in the repository."""
    text, target = link.groups()
    path, _, anchor = target.partition("#")
    if not path:
        return link[0]
    file = (folder / path).resolve().relative_to(ROOT).as_posix()
    is_of_docs = file.startswith("docs/") and (ROOT / file).is_file()
    page = JOINED.get(file, file.removeprefix("docs/") if is_of_docs else None)
    if page is None:
        return text if text.strip("`") == file else f"{text} (`{file}`)"
    return f"[{text}]({page}{'#' + anchor if anchor else ''})"
