"""The compiler: whatever the rules are, the program decides as they say."""

from collections.abc import Callable, Sequence
from operator import eq, ge, gt, le, lt, ne

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf_machine import answer
from jettison.sandbox.bpf import ALL_BITS, ALLOW, ENOSYS, EPERM, ERRNO, KILL_PROCESS, Condition, Rule, assemble
from jettison.sandbox.calls import ARCHITECTURES

X86_64 = ARCHITECTURES["x86_64"]
OPERATORS: dict[str, Callable[[int, int], bool]] = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}

words = st.one_of(
    st.sampled_from([0, 1, 38, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 38, ALL_BITS]), st.integers(0, ALL_BITS)
)
conditions = st.builds(Condition, st.integers(0, 5), st.sampled_from(sorted(OPERATORS)), words, words)
answers = st.sampled_from([ALLOW, EPERM, ERRNO | 97, KILL_PROCESS])
rules = st.builds(Rule, answers, st.lists(conditions, max_size=6))


def said(number: int, arguments: Sequence[int], table: dict[int, list[Rule]], otherwise: int) -> int:
    """The decision, as the rules read."""
    for rule in table.get(number, []):
        if all(OPERATORS[one.operator](arguments[one.argument] & one.mask, one.value) for one in rule.conditions):
            return rule.answer
    return otherwise


@given(
    st.dictionaries(st.integers(0, 500), st.lists(rules, min_size=1, max_size=3), max_size=30),
    answers,
    st.lists(words, min_size=6, max_size=6),
)
def test_the_program_decides_as_the_rules_say(table: dict[int, list[Rule]], otherwise: int, arguments: list[int]) -> None:
    """For every number: the first rule that fits, else the default."""
    program = assemble(X86_64, table, otherwise)

    for number in {*table, *(number + 1 for number in table), 0, 600}:
        assert answer(program, number, arguments) == said(number, arguments, table, otherwise)


@pytest.mark.parametrize("operator", sorted(OPERATORS))
@pytest.mark.parametrize("value", [0, 7, (7 << 32) + 7, 7 << 32])
@pytest.mark.parametrize("mask", [ALL_BITS, (1 << 32) - 1, 0xF0000000F])
def test_an_argument_has_64_bits(operator: str, value: int, mask: int) -> None:
    """Both halves count, in the right order."""
    program = assemble(X86_64, {3: [Rule(ALLOW, [Condition(2, operator, value, mask)])]}, EPERM)

    for given_value in (0, 6, 7, 8, (6 << 32) + 8, 7 << 32, (7 << 32) + 6, (7 << 32) + 7, (7 << 32) + 8, (8 << 32) + 6):
        expected = ALLOW if OPERATORS[operator](given_value & mask, value) else EPERM
        assert answer(program, 3, [0, 0, given_value]) == expected, hex(given_value)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_other_architectures_are_shut(name: str) -> None:
    """Also where everything else is open: i386 by int 0x80, and the numbers of x32."""
    architecture = ARCHITECTURES[name]
    program = assemble(architecture, {}, ALLOW)

    assert answer(program, 1, audit=architecture.audit) == ALLOW
    assert answer(program, 1, audit=0x40000003) == ENOSYS
    assert answer(program, 0x40000001, audit=architecture.audit) == ENOSYS
    assert answer(program, -1, audit=architecture.audit) == ENOSYS


def test_a_jump_may_be_far() -> None:
    """A conditional jump reaches 255 instructions; beyond, there is another jump."""
    table = {number: [Rule(ALLOW if number % 2 else EPERM, [Condition(0, "==", number)])] for number in range(400)}
    program = assemble(X86_64, table, ENOSYS)

    assert [answer(program, number, [number]) for number in range(400)] == [EPERM, ALLOW] * 200
    assert {answer(program, number, [400]) for number in range(401)} == {ENOSYS}


def test_a_program_has_an_end() -> None:
    """The kernel takes 4,096 instructions."""
    with pytest.raises(ValueError, match="the kernel takes 4096"):
        assemble(X86_64, {number: [Rule(ALLOW, [Condition(0, ">", 1 << 40)] * 6)] for number in range(0, 500, 2)}, EPERM)
