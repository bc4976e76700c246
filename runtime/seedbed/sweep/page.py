"""A sweep on one HTML page that needs nothing else: the plots, the table, and what was run."""

import shlex
from collections.abc import Sequence
from html import escape

from seedbed.sweep import summary, svg
from seedbed.sweep.figure import figure
from seedbed.sweep.summary import Summary

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #24292f; max-width: 760px; margin: 2em auto; padding: 0 1em }
svg { width: 100%; height: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .15em .9em; text-align: right }
tr.mean td { border-top: 1px solid #24292f }
code { background: #f6f8fa; padding: .1em .3em }
p.warning { border-left: 3px solid #bf8700; padding-left: .7em }
"""


def page(summaries: list[Summary], description: dict, missing: Sequence[int] = ()) -> str:
    command = shlex.join(description["command"])
    plots = [svg.drawn(figure(found.metric, found.curves), found.metric) for found in summaries]
    facts = [f"{name} {value}" for name, value in description.items() if name != "command" and value]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f"<title>{escape(command)}</title><style>{STYLE}</style></head><body>",
            "<h1>Sweep</h1>",
            f"<p><code>{escape(command)}</code></p>",
            *(f"<p><b>{escape(summary.sentence(found))}</b></p>" for found in summaries),
            *plots,
            table(summary.rows(summaries)),
            *(f'<p class="warning">{escape(said)}</p>' for said in summary.warnings(summaries, missing)),
            f"<p>{escape(', '.join(facts))}</p>",
            "</body></html>\n",
        ]
    )


def table(rows: list[list[str]]) -> str:
    header, *others = rows
    lines = [f"<tr>{cells(header, 'th')}</tr>"]
    lines += [f"<tr{' class=mean' if row[0] == 'mean' else ''}>{cells(row, 'td')}</tr>" for row in others]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def cells(row: list[str], tag: str) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
