"""Throw-away certificate authorities and certificates, made by openssl."""

import subprocess
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


def authority(directory: Path, name: str) -> None:
    """<name>.crt and <name>.key: a throw-away certificate authority."""
    openssl(directory, "req", "-x509", *_KEY, "-days", "2", "-keyout", f"{name}.key", "-out", f"{name}.crt",
            "-subj", f"/CN={name}")  # fmt: skip


def certificate(directory: Path, ca: str, name: str, alternative: str, *, days: str = "2") -> None:
    """<name>.crt and <name>.key signed by `ca` for the subject alternative name `alternative`."""
    (directory / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
    openssl(directory, "req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key",
            "-CAcreateserial", "-days", days, "-extfile", f"{name}.ext", "-out", f"{name}.crt")  # fmt: skip


def early_certificate(directory: Path, ca: str, name: str, alternative: str) -> None:
    """<name>.crt and <name>.key, valid from the year 2090 on."""
    (directory / f"{name}.db").touch()
    (directory / f"{name}.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={name}.db\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\n"
        f"policy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\nsubjectAltName={alternative}\n"
    )
    openssl(directory, "req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    openssl(directory, "ca", "-batch", "-notext", "-config", f"{name}.cnf", "-cert", f"{ca}.crt", "-keyfile",
            f"{ca}.key", "-in", f"{name}.csr", "-out", f"{name}.crt", "-startdate", "20900101000000Z",
            "-enddate", "20910101000000Z")  # fmt: skip
