"""`--ca` of `jettison run`: the certificates that the program's TLS libraries are to trust."""

from jettison.errors import UsageError
from jettison.sandbox.memory import MemoryFolder

_FOLDER, _NAME = "/run/jettison", "ca.pem"
_LIMIT_BYTES = 16 << 20

# Who reads which: OpenSSL, Go, Rust; curl; Python's requests; Node; git; boto; pip; cargo; Deno; Nix; gRPC; Perl's LWP.
VARIABLES = (
    "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "AWS_CA_BUNDLE", "PIP_CERT",
    "CARGO_HTTP_CAINFO", "DENO_CERT", "NIX_SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "PERL_LWP_SSL_CA_FILE",
)  # fmt: skip


def certificates(path: str) -> MemoryFolder:
    """The folder with the bundle. Errors: UsageError where the file is none, or has a private key in it."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(_LIMIT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the certificates `{path}`: {error.strerror}") from error
    if len(content) > _LIMIT_BYTES:
        raise UsageError(f"the certificates `{path}` are larger than 16 MiB")
    if b"PRIVATE KEY-----" in content:
        raise UsageError(
            f"refusing `{path}`: it has a private key in it, which every program of the image could read",
            "give the certificates alone; a key is a `--secret`",
        )
    if b"-----BEGIN CERTIFICATE-----" not in content and b"-----BEGIN TRUSTED CERTIFICATE-----" not in content:
        raise UsageError(
            f"`{path}` has no certificate in the PEM form",
            f"`openssl x509 -inform DER -in {path}` turns one of the DER form into it",
        )
    return MemoryFolder(_FOLDER, "the certificates", [(_NAME, content)], 0o444)


def variables() -> "list[str]":
    """What tells the libraries where the bundle is."""
    return [f"{name}={_FOLDER}/{_NAME}" for name in VARIABLES]
