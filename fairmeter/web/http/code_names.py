"""Names of codes in answers and on pages, as the runs read them: a region is "Feira de Santana", not its number.

In:  the store of the app's desk; a column and its code.
Out: the name of the code, or the number where it was one. The names are read once a request.
"""

from collections.abc import Callable

from flask import Flask, current_app, g, has_app_context

from fairmeter.core.code_names import NO_CODE_NAMES, CodeNames, shown

EXTENSION = "code_names"


def register(app: Flask, read_names: Callable[[], CodeNames]) -> None:
    """Let the app's answers and pages use these names."""
    app.extensions[EXTENSION] = read_names


def current_names() -> CodeNames:
    """The names of the app; none outside of a request."""
    if not has_app_context() or EXTENSION not in current_app.extensions:
        return NO_CODE_NAMES
    if EXTENSION not in g:
        g.code_names = current_app.extensions[EXTENSION]()
    return g.code_names


def named(column: str, code: float | str | None) -> float | str | None:
    """The name of a code that was a text, any other code as it is."""
    if code is None or isinstance(code, str):
        return code
    name = current_names().name(column, code)
    return code if name == shown(code) else name
