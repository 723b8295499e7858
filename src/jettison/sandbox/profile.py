"""A seccomp profile in docker's format, read and made a filter. What it demands and cannot be had is an error."""

import os
import re
from collections.abc import Mapping
from typing import Any

from jettison.errors import InvalidData, UsageError
from jettison.oci.documents import parse
from jettison.sandbox import bpf
from jettison.sandbox.bpf import Condition, Rule
from jettison.sandbox.calls import Architecture
from jettison.sandbox.capabilities import holds
from jettison.sandbox.seccomp import Filter, known_architecture

_LIMIT_BYTES = 1 << 20
_EPERM = 1
_LARGEST_ERRNO = 4095
_VERSION = "([0-9]{1,5})[.]([0-9]{1,5})"

_ACTIONS = {
    "SCMP_ACT_KILL": bpf.KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": bpf.KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": bpf.KILL_PROCESS,
    "SCMP_ACT_TRAP": bpf.TRAP,
    "SCMP_ACT_ERRNO": bpf.ERRNO,
    "SCMP_ACT_TRACE": bpf.TRACE,
    "SCMP_ACT_LOG": bpf.LOG,
    "SCMP_ACT_ALLOW": bpf.ALLOW,
}
_WITH_ERRNO = (bpf.ERRNO, bpf.TRACE)
_OPERATORS = {
    "SCMP_CMP_NE": "!=",
    "SCMP_CMP_LT": "<",
    "SCMP_CMP_LE": "<=",
    "SCMP_CMP_EQ": "==",
    "SCMP_CMP_GE": ">=",
    "SCMP_CMP_GT": ">",
}
# seccomp(2). There is one thread, so TSYNC changes nothing.
_FLAGS = {"SECCOMP_FILTER_FLAG_TSYNC": 0, "SECCOMP_FILTER_FLAG_LOG": 2, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4}

# An object's keys, and what JSON calls their values. Go reads null as nothing, so null is always one of them.
_PROFILE: Mapping[str, type] = {
    "defaultAction": str, "defaultErrnoRet": int, "architectures": list, "archMap": list, "flags": list, "syscalls": list,
}  # fmt: skip
_SYSCALL: Mapping[str, type] = {
    "names": list, "name": str, "action": str, "errnoRet": int, "args": list, "comment": str, "includes": dict,
    "excludes": dict,
}  # fmt: skip
_ARGUMENT: Mapping[str, type] = {"index": int, "value": int, "valueTwo": int, "op": str}
_WHERE: Mapping[str, type] = {"arches": list, "caps": list, "minKernel": str}


def read_profile(path: str, architecture: "Architecture | None" = None, kernel: str = "", capabilities: int = 0) -> Filter:
    """The filter that a file describes, for processes with these capabilities at most. Calls that this machine does not know
    are passed over, as libseccomp does.

    Errors: UsageError for a file that cannot be read, InvalidData for one that is no profile, HostError.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read(_LIMIT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the seccomp profile `{path}`: {error.strerror}") from error
    return _Reader(path, architecture or known_architecture(), kernel or os.uname().release, capabilities).filter(data)


class _Reader:
    """One profile, and the machine that it is read for."""

    def __init__(self, path: str, architecture: Architecture, kernel: str, capabilities: int) -> None:
        self._path = path
        self._architecture = architecture
        self._kernel = kernel
        self._capabilities = capabilities

    def filter(self, data: bytes) -> Filter:
        profile = self._object(parse(data, f"the seccomp profile `{self._path}`", _LIMIT_BYTES), _PROFILE, "it")
        if profile.get("archMap") and profile.get("architectures"):
            raise self._error("it has both `architectures` and `archMap`, expected one")
        otherwise = self._answer(profile, "defaultAction", "defaultErrnoRet", "it")
        rules = self._rules(profile.get("syscalls") or [], otherwise)
        flags = [self._word(flag, _FLAGS, "flags") for flag in profile.get("flags") or []]
        try:
            program = bpf.assemble(self._architecture, rules, otherwise)
        except ValueError as error:
            raise self._error(f"it is too long for the kernel: {error}") from error
        return Filter(f"`{self._path}`", program, sum(set(flags)))

    def _rules(self, entries: "list[Any]", otherwise: int) -> "dict[int, list[Rule]]":
        """By number. A rule without conditions comes first, as in libseccomp: what is more general decides."""
        numbers = self._architecture.numbers()
        rules: dict[int, list[Rule]] = {}
        for position, entry in enumerate(entries):
            names, made = self._entry(entry, f"syscalls[{position}]", otherwise)
            for name in names:
                if name in numbers:
                    rules.setdefault(numbers[name], []).extend(made)
        return {number: sorted(made, key=lambda rule: bool(rule.conditions)) for number, made in rules.items() if made}

    def _entry(self, entry: object, where: str, otherwise: int) -> "tuple[list[str], list[Rule]]":
        """The calls that an entry names, and its rules; none where it is for other machines, or says what holds anyway."""
        fields = self._object(entry, _SYSCALL, where)
        names = fields.get("names") or []
        if bool(names) == bool(fields.get("name")):
            raise self._error(f"{where} needs `names`, or `name`")
        self._strings(names, f"{where}.names")
        answer = self._answer(fields, "action", "errnoRet", where)
        rules = self._with_arguments(fields.get("args") or [], answer, where)
        included = self._object(fields.get("includes") or {}, _WHERE, f"{where}.includes")
        excluded = self._object(fields.get("excludes") or {}, _WHERE, f"{where}.excludes")
        holds = self._includes(included, where) and not self._excludes(excluded, where)
        return names or [fields["name"]], rules if holds and answer != otherwise else []

    def _with_arguments(self, entries: "list[Any]", answer: int, where: str) -> "list[Rule]":
        """All conditions together, but as one rule each where two are about the same argument: that is runc's reading."""
        conditions = [self._condition(entry, f"{where}.args[{position}]") for position, entry in enumerate(entries)]
        if len({condition.argument for condition in conditions}) < len(conditions):
            return [Rule(answer, [condition]) for condition in conditions]
        return [Rule(answer, conditions)]

    def _condition(self, entry: object, where: str) -> Condition:
        fields = self._object(entry, _ARGUMENT, where)
        index, value, second = (fields.get(name) or 0 for name in ("index", "value", "valueTwo"))
        if not 0 <= index <= 5:
            raise self._error(f"{where}.index is {index}, a call has the arguments 0 to 5")
        for number in (value, second):
            if not 0 <= number <= bpf.ALL_BITS:
                raise self._error(f"{where} has {number}, which is no number of 64 bits")
        if fields.get("op") == "SCMP_CMP_MASKED_EQ":
            return Condition(index, "==", second, value)
        return Condition(index, self._word(fields.get("op"), _OPERATORS, f"{where}.op"), value)

    def _answer(self, fields: "dict[str, Any]", action: str, number: str, where: str) -> int:
        answer: int = self._word(fields.get(action), _ACTIONS, f"{where}.{action}" if where != "it" else action)
        errno = fields.get(number)
        if errno is not None and not 0 <= errno <= _LARGEST_ERRNO:
            raise self._error(f"{number} is {errno}, expected 0 to {_LARGEST_ERRNO}")
        return answer | (_EPERM if errno is None else errno) if answer in _WITH_ERRNO else answer

    # For whom

    def _includes(self, fields: "dict[str, Any]", where: str) -> bool:
        """Whether all of it is so."""
        architectures, capabilities, kernel = self._where(fields, where)
        is_here = not architectures or self._architecture.docker in architectures
        return is_here and all(map(self._has, capabilities)) and (not kernel or self._has_kernel(kernel, where))

    def _excludes(self, fields: "dict[str, Any]", where: str) -> bool:
        """Whether any of it is so."""
        architectures, capabilities, kernel = self._where(fields, where)
        is_here = self._architecture.docker in architectures
        return is_here or any(map(self._has, capabilities)) or bool(kernel and self._has_kernel(kernel, where))

    def _has(self, capability: str) -> bool:
        return holds(self._capabilities, capability.removeprefix("CAP_"))

    def _where(self, fields: "dict[str, Any]", where: str) -> "tuple[list[str], list[str], str]":
        architectures, capabilities = fields.get("arches") or [], fields.get("caps") or []
        self._strings([*architectures, *capabilities], where)
        return architectures, capabilities, fields.get("minKernel") or ""

    def _has_kernel(self, text: str, where: str) -> bool:
        wanted = re.fullmatch(_VERSION, text)
        if not wanted:
            raise self._error(f"{where} has the minKernel `{text}`, expected one like 4.8")
        here = re.match(_VERSION, self._kernel)
        return here is not None and _numbers(here) >= _numbers(wanted)

    # Reading

    def _object(self, value: object, keys: "Mapping[str, type]", where: str) -> "dict[str, Any]":
        if not isinstance(value, dict):
            raise self._error(f"{where} is no object")
        for key, content in value.items():
            if key not in keys:
                raise self._error(f"{where} has an unknown key `{key}`", f"known are {', '.join(keys)}")
            if content is not None and type(content) is not keys[key]:
                raise self._error(f"`{key}` of {where} is a {type(content).__name__}, expected a {keys[key].__name__}")
        return value

    def _strings(self, values: "list[Any]", where: str) -> None:
        for value in values:
            if not isinstance(value, str):
                raise self._error(f"{where} has {value!r}, expected names")

    def _word(self, word: object, known: "dict[str, Any]", where: str) -> Any:
        if not isinstance(word, str) or word not in known:
            raise self._error(f"{where} is `{word}`", f"known are {', '.join(known)}")
        return known[word]

    def _error(self, message: str, hint: str = "") -> InvalidData:
        return InvalidData(f"the seccomp profile `{self._path}` is not usable: {message}", hint)


def _numbers(version: "re.Match[str]") -> "tuple[int, int]":
    return int(version[1]), int(version[2])
