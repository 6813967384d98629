"""A small web server of a test's own on a loopback port."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Page:
    """What a path answers; a page that waits does so until the server ends."""

    status: int = 200
    body: bytes = b""
    location: str = ""
    waits: bool = False


def json_page(answer: object, status: int = 200) -> Page:
    return Page(status, json.dumps(answer).encode())


@dataclass
class Web:
    """A running server; pages may be changed while it runs, asked and hosts list the paths and the Hosts in order."""

    url: str
    port: int
    pages: dict[str, Page]
    asked: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)


def certificate(folder: Path) -> Path:
    """Make the certificate of a name that nobody asks for, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "prod.example.com")]), datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    return file


@contextmanager
def serve(pages: dict[str, Page] | None = None, *, certified: Path | None = None) -> Iterator[Web]:
    """Serve pages by path, by TLS where there is a certificate; every other path answers 404."""
    ended = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.asked.append(self.path)
            web.hosts.append(self.headers["Host"])
            page = web.pages.get(self.path, Page(404))
            if page.waits:
                ended.wait()
            self.send_response(page.status)
            self.send_header("Content-Length", str(len(page.body)))
            if page.location:
                self.send_header("Location", page.location)
            self.end_headers()
            self.wfile.write(page.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: a client that gave up waiting is what some tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if certified:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certified)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https" if certified else "http"
        web = Web(f"{scheme}://127.0.0.1:{server.server_port}", server.server_port, pages or {})
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield web
        finally:
            ended.set()
            server.shutdown()
