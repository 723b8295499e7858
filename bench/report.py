"""Results as a table that people read, and as JSON."""

import statistics
from collections.abc import Mapping, Sequence

from bench.cases import Figure, Result


def markdown(facts: Mapping[str, str], results: Sequence[Result]) -> str:
    """The targets first, then each case's rows."""
    figures = [figure for result in results for figure in result.figures]
    lines = ["# jettison beside its peers", "", *(f"- {name}: {fact}" for name, fact in facts.items())]
    lines += ["", "| figure | measured | target | |", "| --- | ---: | ---: | --- |", *map(_figure, figures)]
    for result in results:
        lines += ["", f"## {result.title}", "", result.note.rstrip()]
        lines += _rows(result) if result.rows else []
    return "\n".join(lines) + "\n"


def as_json(facts: Mapping[str, str], results: Sequence[Result]) -> dict[str, object]:
    """The same, every time included."""
    return {"version": 1, "machine": dict(facts), "cases": [_case(result) for result in results]}


def _figure(figure: Figure) -> str:
    word = "≥" if figure.is_least else "≤"
    met = "met" if figure.is_met else "**missed**"
    return f"| {figure.name} | {_number(figure.value)}{figure.unit} | {word} {figure.target:g}{figure.unit} | {met} |"


def _rows(result: Result) -> list[str]:
    base_s = result.rows[result.base].median_s
    lines = ["", "| | median | fastest | slowest | × | processor | memory |", "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in result.rows.values():
        cells = [_time(row.median_s), _time(min(row.times_s)), _time(max(row.times_s)), _number(row.median_s / base_s)]
        cells.append(_time(statistics.median(row.processor_s)))
        lines.append(f"| {row.name} | {' | '.join(cells)} | {row.peak_bytes / (1 << 20):.0f} MiB |")
    return lines


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _case(result: Result) -> dict[str, object]:
    figures = [{**figure._asdict(), "is_met": figure.is_met} for figure in result.figures]
    rows = [{**row._asdict(), "median_s": row.median_s} for row in result.rows.values()]
    return {"title": result.title, "note": result.note, "figures": figures, "rows": rows}
