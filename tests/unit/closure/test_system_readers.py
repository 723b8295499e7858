"""Readers of what systems keep: certificates, OpenSSL's and PAM's settings, name service, mechanisms, fonts."""

from collections.abc import Iterable, Mapping

import pytest

from elves import make_elf
from jettison.closure.choices import Choices
from jettison.closure.facts import Finding, Subject
from jettison.closure.readers import certificates, font, name_service, openssl, pam, preload, sasl
from jettison.closure.rules import rules
from jettison.closure.why import Make, Missing, Need, Reason
from jettison.tree.node import Node, made_dir, made_file, made_symlink
from jettison.tree.root import Tree
from making import setting

REASON = Reason("rule", "/usr/bin/app", "a rule", "likely")
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN EC PRIVATE KEY-----\nMA==\n-----END EC PRIVATE KEY-----\n"
FILE = made_file(b"x")


def subject(files: Mapping[str, Node], path: str = "/usr/bin/app", choices: Choices | None = None) -> Subject:
    nodes: dict[str, Node] = {}
    for name, node in {"/usr/bin/app": made_file(make_elf()), **files}.items():
        parts = name.split("/")
        nodes |= {"/".join(parts[:end]): made_dir() for end in range(2, len(parts))}
        nodes[name] = node
    tree = Tree(nodes)
    return Subject(tree, path, b"\x7fELF", Reason("entry", "", "the program"), setting(tree, choices))


def paths(found: Iterable[Finding]) -> list[str]:
    return [item.path for item in found if isinstance(item, Need) and item.reason.confidence != "hint"]


def links(found: Iterable[Finding]) -> dict[str, str]:
    return {item.path: item.node.target for item in found if isinstance(item, Make)}


@pytest.mark.parametrize("place", [BUNDLE, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"])
def test_the_bundle_has_every_usual_name(place: str) -> None:
    """Whichever distribution's it is."""
    found = list(certificates.needs(subject({place: made_file(CERTIFICATE)}), REASON))

    assert paths(found) == [place]
    assert {BUNDLE, "/etc/ssl/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt"} - {place} == set(links(found))
    assert set(links(found).values()) == {place}


def test_what_holds_a_private_key_stays_out() -> None:
    """Also among certificates, by whatever name; that a bundle is left out is said."""
    files = {BUNDLE: made_file(CERTIFICATE + KEY), "/etc/ssl/certs/0123abcd.0": made_file(KEY)}
    safe = Choices(level="safe")
    found = list(certificates.needs(subject(files, choices=safe), REASON))

    assert [item.name for item in found if isinstance(item, Missing)] == [BUNDLE]
    assert not [item for item in found if isinstance(item, (Need, Make))]


def test_certificates_by_their_hash_are_a_hint() -> None:
    """The bundle has each of them."""
    files = {BUNDLE: made_file(CERTIFICATE), "/etc/ssl/certs/0123abcd.0": made_file(CERTIFICATE)}
    found = list(certificates.needs(subject(files, choices=Choices(level="safe")), REASON))

    assert paths(found) == [BUNDLE]
    assert [item.path for item in found if isinstance(item, Need)] == [BUNDLE, "/etc/ssl/certs/0123abcd.0"]


def libcrypto(settings: bytes, *more: str) -> Subject:
    folders = f'\0OPENSSLDIR: "/usr/lib/ssl"\0MODULESDIR: "{LIBRARIES}/ossl-modules"\0'
    library = make_elf(soname="libcrypto.so.3") + folders.encode()
    files = {
        f"{LIBRARIES}/libcrypto.so.3": made_file(library),
        "/usr/lib/ssl/openssl.cnf": made_file(settings),
        BUNDLE: made_file(CERTIFICATE),
        **dict.fromkeys(more, made_file(b"[more]\nactivate = 1\n")),
    }
    return subject(files, f"{LIBRARIES}/libcrypto.so.3")


def test_openssl_brings_what_its_configuration_switches_on() -> None:
    """A provider by its name or path, and files that are included; nothing that is not switched on."""
    modules = f"{LIBRARIES}/ossl-modules"
    text = b"""openssl_conf = start
.include fips.cnf
[start]
providers = list
[list]
default = on
legacy = on
fips = more
other = off
[on]
activate = 1 # yes
[off]
"""
    files = (f"{modules}/legacy.so", f"{modules}/fips.so", f"{modules}/other.so", "/usr/lib/ssl/fips.cnf")
    found = paths(openssl.needs(libcrypto(text, *files), REASON))

    assert found == ["/usr/lib/ssl/openssl.cnf", "/usr/lib/ssl/fips.cnf", f"{modules}/legacy.so", f"{modules}/fips.so"]


def test_openssl_finds_the_bundle_where_it_looks() -> None:
    """cert.pem of its folder."""
    assert links(openssl.needs(libcrypto(b""), REASON)) == {"/usr/lib/ssl/cert.pem": BUNDLE}


def test_openssl_brings_the_sums_of_a_self_test() -> None:
    """Red Hat's lie beside the library."""
    found = paths(openssl.needs(libcrypto(b"", f"{LIBRARIES}/.libcrypto.so.3.hmac"), REASON))

    assert f"{LIBRARIES}/.libcrypto.so.3.hmac" in found


def test_a_configuration_that_includes_itself_ends() -> None:
    """Each file is read once."""
    assert paths(openssl.needs(libcrypto(b".include openssl.cnf\n"), REASON)) == ["/usr/lib/ssl/openssl.cnf"]


PAM = {
    "/etc/pam.d/su": made_file(
        b"auth sufficient pam_rootok.so\nauth required pam_env.so envfile=/etc/vars\n@include common\n"
        b"-session optional pam_systemd.so\naccount [success=1 \\\n default=ignore] pam_deny.so\nsession include more\n"
    ),
    "/etc/pam.d/common": made_file(b"auth required /opt/pam_own.so # mine\n"),
    "/etc/pam.d/more": made_file(b"session required pam_limits.so\n@include su\n"),
    "/etc/pam.d/other": made_file(b"auth required pam_deny.so\n"),
    "/etc/pam.d/login": made_file(b"auth required pam_securetty.so\n"),
    "/opt/pam_own.so": FILE,
    "/etc/vars": FILE,
    **{
        f"{LIBRARIES}/security/pam_{name}.so": FILE
        for name in ("rootok", "env", "deny", "limits", "systemd", "securetty", "unasked")
    },
}


def test_pam_follows_the_services_that_the_program_names() -> None:
    """With what they include, and the service of all others; what may be absent is a hint."""
    program = made_file(make_elf(imports=["pam_start"]) + b"\0su\0")
    found = paths(pam.needs(subject({**PAM, "/usr/bin/app": program}), REASON))

    modules = {path.rpartition("/pam_")[2].removesuffix(".so") for path in found if path.endswith(".so")}
    assert modules == {"rootok", "env", "deny", "limits", "own"}
    assert {"/etc/pam.d/su", "/etc/pam.d/common", "/etc/pam.d/more", "/etc/pam.d/other", "/etc/vars"} <= set(found)
    assert "/etc/pam.d/login" not in found


def test_a_program_that_is_told_its_service_has_them_all() -> None:
    """No name stands in it."""
    assert "/etc/pam.d/login" in paths(pam.needs(subject(PAM), REASON))


def glibc(version: str, nsswitch: bytes = b"", program: bytes = b"") -> Subject:
    libc = make_elf(soname="libc.so.6") + f"\0GNU C Library (Debian) stable release version {version}.\n\0".encode()
    files = {
        "/usr/bin/app": made_file(program or make_elf(needed=["libc.so.6"])),
        f"{LIBRARIES}/libc.so.6": made_file(libc),
        **{f"{LIBRARIES}/libnss_{name}.so.2": FILE for name in ("files", "dns", "compat", "mdns", "systemd")},
    }
    return subject(files | ({"/etc/nsswitch.conf": made_file(nsswitch)} if nsswitch else {}))


def test_an_older_glibc_has_modules_for_files_and_dns() -> None:
    """Those of nsswitch.conf that ask no daemon, too."""
    old = glibc("2.31", b"passwd: compat systemd # x\nhosts: files mdns [NOTFOUND=return] dns\n")

    assert paths(name_service.needs(old, REASON)) == [f"{LIBRARIES}/libnss_{name}.so.2" for name in ("compat", "dns", "files")]
    assert paths(name_service.needs(glibc("2.31"), REASON)) == [f"{LIBRARIES}/libnss_{name}.so.2" for name in ("dns", "files")]


def test_a_newer_glibc_has_them_built_in() -> None:
    """Since 2.34."""
    assert paths(name_service.needs(glibc("2.36"), REASON)) == []


@pytest.mark.parametrize(("version", "is_there"), [("2.31", True), ("2.30", False)])
def test_a_static_program_wants_the_modules_of_its_own_glibc(version: str, is_there: bool) -> None:
    """Those of another one would crash it: then it is said that they lack."""
    static = make_elf(kind=2) + f"\0GNU C Library stable release version {version}\0libnss_\0".encode()
    found = list(name_service.needs(glibc("2.31", program=without_dynamic(static)), REASON))

    assert (f"{LIBRARIES}/libc.so.6" in paths(found)) == is_there
    assert [item.name for item in found if isinstance(item, Missing)] == ([] if is_there else ["the name service of glibc 2.30"])


def without_dynamic(program: bytes) -> bytes:
    """The file with its PT_DYNAMIC turned into nothing."""
    header, size, count = 64, 56, int.from_bytes(program[56:58], "little")
    for at in range(header, header + size * count, size):
        if program[at : at + 4] == b"\2\0\0\0":
            return program[:at] + bytes(4) + program[at + 4 :]
    return program


def test_mechanisms_come_for_who_starts_sasl() -> None:
    """The server's store of passwords for servers only; libldap's own use of it is a hint."""
    modules = {f"{LIBRARIES}/sasl2/{name}.so": FILE for name in ("libplain", "libsasldb")}
    client, server = (made_file(make_elf(imports=[f"sasl_{kind}_init"])) for kind in ("client", "server"))

    assert paths(sasl.needs(subject({**modules, "/usr/bin/app": client}), REASON)) == [f"{LIBRARIES}/sasl2/libplain.so"]
    assert paths(sasl.needs(subject({**modules, "/usr/bin/app": server}), REASON)) == list(modules)
    ldap = f"{LIBRARIES}/libldap-2.5.so.0"
    assert paths(sasl.needs(subject({**modules, ldap: client}, ldap), REASON)) == []


def test_one_font_comes_along() -> None:
    """The one that is preferred, else any."""
    fonts = "/usr/share/fonts/truetype"

    found = font.needs(subject({f"{fonts}/a/Odd.ttf": FILE, f"{fonts}/dejavu/DejaVuSans.ttf": FILE}), REASON)
    assert paths(found) == [f"{fonts}/dejavu/DejaVuSans.ttf"]
    assert paths(font.needs(subject({f"{fonts}/a/Odd.ttf": FILE}), REASON)) == [f"{fonts}/a/Odd.ttf"]


def test_what_a_fat_image_preloads_is_kept() -> None:
    """By its file, and by its environment."""
    files = {
        "/etc/ld.so.preload": made_file(b"# mine\n/opt/one.so\n"),
        "/opt/one.so": FILE,
        f"{LIBRARIES}/libjemalloc.so.2": FILE,
    }
    found = subject(files)
    with_variable = found._replace(setting=found.setting._replace(environment=(("LD_PRELOAD", "libjemalloc.so.2"),)))

    assert paths(preload.needs(found, REASON)) == ["/etc/ld.so.preload", "/opt/one.so"]
    assert f"{LIBRARIES}/libjemalloc.so.2" in paths(preload.needs(with_variable, REASON))


@pytest.mark.parametrize(
    ("name", "trigger", "wanted"),
    [
        ("icu", "/usr/lib/libicudata.so.74", "/usr/share/icu/74.2/icudt74l.dat"),
        ("p11-kit-trust", "/usr/lib64/pkcs11/p11-kit-trust.so", "/usr/share/pki/ca-trust-source/ca-bundle.trust.p11-kit"),
        ("time-zones-source", "/usr/bin/app", "/usr/share/zoneinfo/tzdata.zi"),
        ("openssl-engines", "/usr/bin/app", "/usr/lib64/engines-3/afalg.so"),
        ("gnutls", "/usr/lib64/libgnutls.so.30", "/usr/lib64/.libgnutls.so.30.hmac"),
        ("rpc", "/usr/bin/app", "/etc/netconfig"),
        ("media-types", "/usr/bin/app", "/etc/mime.types"),
        ("time-zones", "/usr/bin/app", "/usr/share/zoneinfo/Europe/Kiev"),
        ("terminfo", "/usr/bin/app", "/usr/share/terminfo/x/xterm-256color"),
        ("addresses", "/usr/bin/app", "/etc/gai.conf"),
        ("kerberos", "/usr/lib64/libkrb5.so.3", "/etc/krb5.conf.d/crypto-policies"),
        ("ldap", "/usr/lib64/libldap.so.2", "/etc/openldap/ldap.conf"),
        ("openssl-providers", "/usr/bin/app", "/usr/lib64/ossl-modules/legacy.so"),
        ("nss", "/usr/lib64/libnss3.so", "/usr/lib64/libsoftokn3.chk"),
    ],
)
def test_a_rule_finds_what_other_systems_have(name: str, trigger: str, wanted: str) -> None:
    """Alpine's, Fedora's, newer ones."""
    rule = next(rule for rule in rules() if rule.name == name)

    assert wanted in rule.paths(subject({wanted: FILE, trigger: FILE}).root, trigger)


def test_time_zones_come_with_their_old_names() -> None:
    """A link leads to the new one; those with leap seconds, and the source, stay out."""
    zones = "/usr/share/zoneinfo"
    files = {
        f"{zones}/Europe/Kyiv": FILE,
        f"{zones}/Europe/Kiev": made_symlink("Kyiv"),
        f"{zones}/right/UTC": FILE,
        f"{zones}/posix/UTC": FILE,
        f"{zones}/tzdata.zi": FILE,
    }
    rule = next(rule for rule in rules() if rule.name == "time-zones")

    assert rule.paths(subject(files).root, "/usr/bin/app") == [f"{zones}/Europe/Kiev", f"{zones}/Europe/Kyiv"]
