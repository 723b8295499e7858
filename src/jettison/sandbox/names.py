"""What a world knows of other machines' names: the files /etc/hosts and /etc/resolv.conf, and what the caller adds to them."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Names:
    """`hosts`: names and addresses. The others take the place of resolv.conf's own lines of their kind, where given."""

    def __init__(
        self,
        hosts: "Sequence[tuple[str, str]]" = (),
        servers: "Sequence[str]" = (),
        search: "Sequence[str]" = (),
        options: "Sequence[str]" = (),
    ) -> None:
        self.hosts = tuple(hosts)
        self.servers = tuple(servers)
        self.search = tuple(search)
        self.options = tuple(options)

    def hosts_file(self, base: bytes) -> bytes:
        """The file with the given hosts first. Their names' other addresses go: a resolver may take them all together."""
        given = {name.lower().encode() for name, _ in self.hosts}
        lines = [f"{address}\t{name}".encode() for name, address in self.hosts]
        lines += [line for line in (_without(line, given) for line in base.splitlines()) if line is not None]
        return b"".join(line + b"\n" for line in lines)

    def resolver_file(self, base: bytes) -> bytes:
        """The file with the given servers, domains and options, resolv.conf(5)."""
        replaced = {
            *([b"nameserver"] if self.servers else []),
            *([b"search", b"domain"] if self.search else []),
            *([b"options"] if self.options else []),
        }
        lines = [line for line in base.splitlines() if not replaced & set(line.split()[:1])]
        lines += [f"nameserver {server}".encode() for server in self.servers]
        if self.search and self.search != (".",):  # docker: a dot alone means none
            lines.append(f"search {' '.join(self.search)}".encode())
        if self.options:
            lines.append(f"options {' '.join(self.options)}".encode())
        return b"".join(line + b"\n" for line in lines)


def _without(line: bytes, names: "set[bytes]") -> "bytes | None":
    """A line of hosts(5) without these names; None where no other is in it."""
    words = line.partition(b"#")[0].split()
    kept = [word for word in words[1:] if word.lower() not in names]
    if len(kept) == len(words[1:]):
        return line
    return b"\t".join([words[0], b" ".join(kept)]) if kept else None
