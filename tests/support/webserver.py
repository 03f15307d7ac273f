# SPDX-License-Identifier: MIT
"""A web server for one case, in a thread of its own: it serves the files of a folder, whole or by ranges, over http
or https, and counts what it is asked for."""
import contextlib
import http.server
import os
import re
import ssl
import threading

import command

PIECE = 1 << 20


class Web:
    """What clients asked of it."""

    def __init__(self, scheme, port):
        self.scheme = scheme
        self.port = port
        self.lock = threading.Lock()
        self.ranges = []  # (path, offset, bytes) of each answer that carried contents

    def url(self, name):
        return f"{self.scheme}://localhost:{self.port}/{name}"

    def note(self, path, offset, length):
        with self.lock:
            self.ranges.append((path, offset, length))

    def bytes(self):
        return sum(length for _, _, length in self.ranges)

    def bytes_twice(self):
        """How many bytes were sent more than once."""
        twice, ends = 0, {}
        for path, offset, length in sorted(self.ranges):
            end = ends.get(path, 0)
            twice += max(0, min(end, offset + length) - offset)
            ends[path] = max(end, offset + length)
        return twice


def _handler(folder, web):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format, *args):  # pylint: disable=redefined-builtin
            pass

        def _file(self):
            path = os.path.join(folder, os.path.basename(self.path))
            return path if os.path.isfile(path) else None

        def _head(self, status, length, *headers):
            self.send_response(status)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(length))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()

        def do_HEAD(self):
            path = self._file()
            self._head(200 if path else 404, os.path.getsize(path) if path else 0)

        def do_GET(self):
            path = self._file()
            if not path:
                self._head(404, 0)
                return
            size = os.path.getsize(path)
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            start, end = (int(wanted[1]), min(int(wanted[2]) + 1, size)) if wanted else (0, size)
            if start >= size:
                self._head(416, 0, ("Content-Range", f"bytes */{size}"))
                return
            web.note(self.path, start, end - start)
            with open(path, "rb") as file:
                self._head(206 if wanted else 200, end - start,
                           *([("Content-Range", f"bytes {start}-{end - 1}/{size}")] if wanted else []))
                file.seek(start)
                while start < end:
                    data = file.read(min(PIECE, end - start))
                    self.wfile.write(data)
                    start += len(data)
    return Handler


def certificate(folder):
    """A certificate of localhost's own, with its key: for who is told not to doubt it."""
    path = os.path.join(folder, "localhost.pem")
    command.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                 "-addext", "subjectAltName=DNS:localhost", "-keyout", path + ".key", "-out", path])
    return path


@contextlib.contextmanager
def serving(folder, secure=None):
    """with serving(folder) as web: ... web.url("disk.vhdx"); @secure: a certificate's path, for https."""
    web = Web("https" if secure else "http", 0)
    server = http.server.ThreadingHTTPServer(("localhost", 0), _handler(folder, web))
    server.daemon_threads = True
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(secure, secure + ".key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    web.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
