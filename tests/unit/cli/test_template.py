"""docker's templates: fields and JSON, and nothing else."""

import pytest

from jettison.cli.template import parse, render, unescaped
from jettison.errors import UsageError

STATE = {
    "Name": "/web",
    "State": {"Running": True, "Pid": 7, "Health": None},
    "Args": ["-c", "exit 3"],
    "Labels": {"b": "", "a": "1"},
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.Name}}", "/web"),
        ("{{ .Name }}: {{.State.Pid}}!", "/web: 7!"),
        ("{{.State.Running}}", "true"),
        ("{{.Args}}", "[-c exit 3]"),
        ("{{.Labels}}", "map[a:1 b:]"),
        ("{{.State.Health}}", "<no value>"),
        ("{{json .State}}", '{"Running":true,"Pid":7,"Health":null}'),
        ("{{json .Name}}", '"/web"'),
        ("a}} b", "a}} b"),
        ("", ""),
    ],
)
def test_fields_and_json_are_filled_in(template: str, expected: str) -> None:
    """As docker's own templates fill them in."""
    assert render(parse(template), STATE) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{", "{{.Name", "{{}}", "{{Name}}", "{{range .Args}}", "{{.Name | upper}}", "{{index .Labels 1}}", "{{- .Name}}",
        "{{json}}",
        "{{..Name}}", "{{.Name.}}", "{{json .Name .Args}}",
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused(template: str) -> None:
    """With what is, rather than filled in wrongly."""
    with pytest.raises(UsageError, match="is not understood") as error:
        parse(template)

    assert "{{json .FIELD}}" in error.value.hint


@pytest.mark.parametrize("template", ["{{.Nmae}}", "{{.State.Status}}", "{{.Name.First}}", "{{json .State.Pid.X}}"])
def test_a_field_that_is_not_there_is_an_error(template: str) -> None:
    """And not an empty text, on which a script would go on."""
    with pytest.raises(UsageError, match="is not there"):
        render(parse(template), STATE)


def test_ps_reads_tabs_that_a_shell_leaves_alone() -> None:
    r"""`'{{.ID}}\t{{.Names}}'` in quotes has a backslash and a t."""
    assert unescaped(r"{{.ID}}\t{{.Names}}\n") == "{{.ID}}\t{{.Names}}\n"
