"""The kernel's classic BPF, as much of it as a seccomp filter may use: an interpreter to judge our programs by."""

import struct
from collections.abc import Sequence

HALF = (1 << 32) - 1


def answer(program: bytes, number: int, arguments: Sequence[int] = (), audit: int = 0xC000003E) -> int:
    """What the filter says to a call, of x86-64 if no other architecture is given. The checks are those of the kernel."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<II7Q", number & HALF, audit, 0, *(value & (1 << 64) - 1 for value in padded))
    instructions = list(struct.iter_unpack("<HBBI", program))
    assert 0 < len(instructions) <= 4096
    accumulator = place = 0
    while True:
        code, if_true, if_false, constant = instructions[place]
        place += 1
        if code == 0x06:  # BPF_RET | BPF_K
            return int(constant)
        if code == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            assert constant % 4 == 0 and constant + 4 <= len(data)
            (accumulator,) = struct.unpack_from("<I", data, constant)
        elif code == 0x54:  # BPF_ALU | BPF_AND | BPF_K
            accumulator &= constant
        elif code == 0x05:  # BPF_JMP | BPF_JA
            place += constant
        else:  # BPF_JMP | BPF_JEQ, BPF_JGT, BPF_JGE
            is_so = {0x15: accumulator == constant, 0x25: accumulator > constant, 0x35: accumulator >= constant}[code]
            place += if_true if is_so else if_false
