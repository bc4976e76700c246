"""Writes what is made from the tables in seedbed/settings.py: settings.sh, and the tables in docs/determinism.md.

`python runtime/generate.py` writes them; with `--check` it writes nothing and ends with 1 where one is stale.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from seedbed.settings import CALLS, DEFAULT_MODE, OPTIONS, VARIABLES, Setting  # noqa: E402

SHELL = HERE / "settings.sh"
PAGE = HERE.parent / "docs" / "determinism.md"


def main(arguments: list[str]) -> int:
    wanted = {SHELL: shell_table(), PAGE: filled(PAGE.read_text())}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{path.relative_to(HERE.parent)} is stale: run python runtime/generate.py", file=sys.stderr)
    if "--check" in arguments:
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path])
    return 0


def shell_table() -> str:
    """One call for each baked variable, for the entrypoint to define: its values in strict and warn; empty: unset."""
    baked = (s for s in VARIABLES if "{" not in (s.values[DEFAULT_MODE] or ""))
    calls = (f"setting {s.name} {' '.join(quoted(s.values[mode]) for mode in ('strict', 'warn'))}\n" for s in baked)
    header = "# shellcheck shell=sh\n# Written by runtime/generate.py from seedbed/settings.py: change that instead.\n"
    return header + "".join(calls)


def quoted(value: str | None) -> str:
    return f"'{value or ''}'"


def filled(page: str) -> str:
    """The page with the text between each pair of `<!-- table: NAME -->` and `<!-- end -->` written anew."""
    tables = {
        "options": options_table(),
        "variables": settings_table(VARIABLES),
        "calls": settings_table(CALLS),
    }
    pattern = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
    return pattern.sub(lambda match: match[1] + tables[match[2]] + match[3], page)


def options_table() -> str:
    rows = [[code(name), code(default), meaning] for name, (default, meaning) in OPTIONS.items()]
    return markdown(["variable", "default", "meaning"], rows)


def settings_table(settings: tuple[Setting, ...]) -> str:
    head = ["set", "for", "strict", "warn", "why (evidence)", "undone by"]
    return markdown(head, [settings_row(setting) for setting in settings])


def settings_row(setting: Setting) -> list[str]:
    values = [code(setting.values[mode]) for mode in ("strict", "warn")]
    why = f"{setting.why} ({setting.evidence})"
    return [code(setting.name), for_what(setting), *values, why, setting.undone_by]


def for_what(setting: Setting) -> str:
    libraries = ", ".join(setting.libraries) or "any Python"
    return f"{libraries} {setting.since} and newer" if setting.since else libraries


def code(value: str | None) -> str:
    return f"`{value}`" if value else "-"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
