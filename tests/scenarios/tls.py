"""TLS for scenarios: a certificate of our own, and a client's socket that can do what Python's own cannot."""

import socket
import ssl
import subprocess
import threading


class Pair:
    """A self-signed certificate and its key in files."""

    def __init__(self, folder, name="test.example", names="DNS:test.example,IP:127.0.0.1"):
        self.name, self.certificate, self.key = name, folder / f"{name}.crt", folder / f"{name}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}", "-out", self.certificate, "-keyout",
                        self.key], check=True, capture_output=True)

    def server(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client(self):
        return ssl.create_default_context(cafile=self.certificate)


class TlsSocket:
    """Sends and receives on two threads at once, ends its half alone, and says how the other side ended."""

    def __init__(self, sock, context, server_hostname):
        self.sock, self._in, self._out = sock, ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=server_hostname)
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self.notified = False  # the other side's close_notify came
        self._until_done(self._tls.do_handshake)

    def __getattr__(self, name):  # timeouts, options, close
        return getattr(self.sock, name)

    def version(self):
        return self._tls.version()

    def _flush(self):
        with self._sending:
            with self._lock:
                data = self._out.read()
            self.sock.sendall(data)

    def _until_done(self, step):
        while True:
            try:
                with self._lock:
                    got = step()
                self._flush()
                return got
            except ssl.SSLWantReadError:
                self._flush()
                data = self.sock.recv(65536)
                with self._lock:
                    self._in.write(data) if data else self._in.write_eof()

    def sendall(self, data):
        for at in range(0, len(data), 65536):
            with self._lock:
                self._tls.write(data[at:at + 65536])
            self._flush()

    def recv(self, n):
        try:
            data = self._until_done(lambda: self._tls.read(n))
        except ssl.SSLZeroReturnError:  # the same as nothing read, once our half has ended too
            data = b""
        except ssl.SSLEOFError:
            return b""
        self.notified |= not data
        return data

    def shutdown(self, how):
        """close_notify, without waiting for the other side's, and no FIN (SHUT_WR); or the socket's own."""
        if how == socket.SHUT_WR:
            try:
                with self._lock:
                    self._tls.unwrap()
            except ssl.SSLWantReadError:
                pass
            self._flush()
        else:
            self.sock.shutdown(how)
