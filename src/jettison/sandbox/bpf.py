"""A filter of system calls as a program for the kernel's classic BPF, seccomp(2).

Every part of the program ends by itself, in an answer. So parts are put together without labels: a branch is a jump over
the part that comes next.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jettison.sandbox.calls import Architecture

    Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant: struct sock_filter

# linux/seccomp.h: what the kernel does; the lowest 16 bits are an errno or a tracer's word.
KILL_PROCESS = 0x80000000
KILL_THREAD = 0x00000000
TRAP = 0x00030000
ERRNO = 0x00050000
TRACE = 0x7FF00000
LOG = 0x7FFC0000
ALLOW = 0x7FFF0000
EPERM = ERRNO | 1
ENOSYS = ERRNO | 38

ALL_BITS = (1 << 64) - 1
_HALF = (1 << 32) - 1

# linux/bpf_common.h
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_JUMP, _EQUAL, _GREATER, _AT_LEAST = 0x05, 0x15, 0x25, 0x35
_FARTHEST = 255
_LONGEST = 4096

# struct seccomp_data: nr, arch, instruction_pointer, args[6]; of each argument the lower half first.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000  # set in the numbers of x86-64's 32-bit calls, which have the same architecture

_PASS, _FAIL = -1, -2  # a jump's end, before it is known how far that is


class Condition:
    """`argument & mask OPERATOR value`, unsigned; the operator is one of == != < <= > >=."""

    def __init__(self, argument: int, operator: str, value: int, mask: int = ALL_BITS) -> None:
        self.argument = argument
        self.operator = operator
        self.value = value & ALL_BITS
        self.mask = mask


class Rule:
    """What to answer to a call whose arguments meet all conditions."""

    def __init__(self, answer: int, conditions: "Sequence[Condition]" = ()) -> None:
        self.answer = answer
        self.conditions = tuple(conditions)


def assemble(architecture: "Architecture", rules: "Mapping[int, Sequence[Rule]]", otherwise: int) -> bytes:
    """The program: for each number the first rule that fits, else `otherwise`. Calls of another architecture: ENOSYS.

    Errors: ValueError where the program is longer than the kernel takes.
    """
    refuse = _answer(ENOSYS)
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture.audit),
        refuse,
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        refuse,
        *_search(_runs(rules, otherwise)),
    ]
    if len(program) > _LONGEST:
        raise ValueError(f"{len(program)} instructions, the kernel takes {_LONGEST}")
    return b"".join([_packed(*instruction) for instruction in program])


def _packed(code: int, if_true: int, if_false: int, constant: int) -> bytes:
    return (code | if_true << 16 | if_false << 24 | constant << 32).to_bytes(8, "little")


def _answer(answer: int) -> "Instruction":
    return (_RETURN, 0, 0, answer)


# Numbers


def _runs(rules: "Mapping[int, Sequence[Rule]]", otherwise: int) -> "list[tuple[int, list[Instruction]]]":
    """The first number of every run of calls that are treated alike, ascending, and what is done with them."""
    default = (Rule(otherwise),)
    runs: list[tuple[int, Sequence[Rule]]] = [(0, default)]
    following = 0
    for number in sorted(rules):
        if number > following:
            runs.append((following, default))
        if rules[number] is not runs[-1][1]:
            runs.append((number, rules[number]))
        following = number + 1
    runs.append((following, default))
    return [(number, _block(each, otherwise)) for number, each in runs]


def _search(runs: "list[tuple[int, list[Instruction]]]") -> "list[Instruction]":
    """A binary search for the run that a number is in."""
    if len(runs) == 1:
        return runs[0][1]
    middle = len(runs) // 2
    lower, upper = _search(runs[:middle]), _search(runs[middle:])
    if len(lower) <= _FARTHEST:
        return [(_AT_LEAST, len(lower), 0, runs[middle][0]), *lower, *upper]
    return [(_AT_LEAST, 0, 1, runs[middle][0]), (_JUMP, 0, 0, len(lower)), *lower, *upper]


# Arguments


def _block(rules: "Sequence[Rule]", otherwise: int) -> "list[Instruction]":
    """One call's rules in order. The first without conditions is the last that counts."""
    block: list[Instruction] = []
    for rule in rules:
        block += _rule(rule)
        if not rule.conditions:
            return block
    return [*block, _answer(otherwise)]


def _rule(rule: Rule) -> "list[Instruction]":
    """The answer where all conditions hold, else what comes after this."""
    tests = [_condition(condition) for condition in rule.conditions]
    length = sum(map(len, tests)) + 1
    done: list[Instruction] = []
    for test in tests:
        end = len(done) + len(test)
        for code, if_true, if_false, constant in test:
            ends = {_PASS: end - len(done) - 1, _FAIL: length - len(done) - 1}
            done.append((code, ends.get(if_true, if_true), ends.get(if_false, if_false), constant))
    return [*done, _answer(rule.answer)]


def _condition(condition: Condition) -> "list[Instruction]":
    """The upper halves decide, unless they are equal; then the lower ones do."""
    operator, (yes, no) = condition.operator, (_PASS, _FAIL)
    if operator in _NEGATED:
        operator, yes, no = _NEGATED[operator], _FAIL, _PASS
    upper, lower = condition.value >> 32, condition.value & _HALF
    offset = _ARGUMENTS + 8 * condition.argument
    last = [*_load(offset, condition.mask & _HALF), (_COMPARISONS[operator], yes, no, lower)]
    if condition.mask >> 32 == 0 and upper == 0:
        return last
    first = _load(offset + 4, condition.mask >> 32)
    if operator == "==":
        return [*first, (_EQUAL, 0, no, upper), *last]
    return [*first, (_GREATER, yes, 0, upper), (_EQUAL, 0, no, upper), *last]


_COMPARISONS = {"==": _EQUAL, ">": _GREATER, ">=": _AT_LEAST}
_NEGATED = {"!=": "==", "<=": ">", "<": ">="}


def _load(offset: int, mask: int) -> "list[Instruction]":
    load = (_LOAD, 0, 0, offset)
    return [load] if mask == _HALF else [load, (_AND, 0, 0, mask)]
