"""The machine's screen as a web page: noVNC's files, and its connection passed on to QEMU.

QEMU speaks VNC over WebSocket by itself; this serves the page and joins both under one address.
"""
# SPDX-License-Identifier: MIT
import functools
import http.server
import select
import socket
import threading

FIRST_PORT, PORTS = 6080, 20
PAGE = "/vnc.html?autoconnect=true&resize=scale&path=websockify&show_dot=true"


def free_port(port=0):
    """A TCP port on 127.0.0.1 that nobody listens on: this one or, for 0, any."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return probe.getsockname()[1]


def free_display():
    """A VNC display number whose port, 5900 above, nobody listens on."""
    for display in range(1, 100):
        try:
            free_port(5900 + display)
            return display
        except OSError:
            continue
    raise OSError("the ports 5901 to 5999 are all in use")


class _Handler(http.server.SimpleHTTPRequestHandler):
    vnc_port = 0
    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        pass

    def do_GET(self):
        # Another site's page in the same browser could reach us under a name of its own: refuse that.
        if self.headers.get("Host", "").rpartition(":")[0] not in ("127.0.0.1", "localhost"):
            self.send_error(403)
        elif self.path == "/":
            self.send_response(302)
            self.send_header("Location", PAGE)
            self.end_headers()
        elif self.path.startswith("/websockify"):
            self._join()
        else:
            super().do_GET()

    def _join(self):
        """Repeats the request to QEMU and then passes bytes both ways until one side closes."""
        self.close_connection = True
        request = f"GET / HTTP/1.1\r\n{self.headers.as_string().strip()}\r\n\r\n".replace("\r\n", "\n")
        with socket.create_connection(("127.0.0.1", self.vnc_port)) as there:
            there.sendall(request.replace("\n", "\r\n").encode("latin-1"))
            here, other = self.connection, {self.connection: there, there: self.connection}
            while True:
                for ready in select.select([here, there], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    other[ready].sendall(data)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a browser that goes away


def serve(folder, vnc_port):
    """Serves noVNC from `folder` for QEMU's WebSocket at vnc_port; returns the address of the page."""
    handler = type("Handler", (_Handler,), {"vnc_port": vnc_port})
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        try:
            server = _Server(("127.0.0.1", port), functools.partial(handler, directory=folder))
            break
        except OSError:
            continue
    else:
        raise OSError(f"ports {FIRST_PORT} to {FIRST_PORT + PORTS - 1} are all in use")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{port}/"
