"""A small proxy for scenarios: SOCKS5 (RFC 1928, 1929) and HTTP CONNECT on one port, told apart by the first byte. It
records what it was asked, and refuses, breaks or stalls as the test says."""
import contextlib
import socket
import struct
import threading

from cdn import LIMIT


class Proxy:
    """.asked: [(host, port, user, password)] of each request, user None when none was given. `reply` answers with this
    code of SOCKS5 or status of HTTP; `say`: bytes instead of any answer; `to`: all connections lead there."""

    def __init__(self, users=None):
        self.users = users  # {name: password}; None: nobody is asked
        self.asked, self.reply, self.say, self.to, self.silent = [], 0, None, None, False
        self._open = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def host_port(self):
        return "%s:%d" % self.address

    def url(self, user="", scheme="socks5h"):
        return f"{scheme}://{user + '@' if user else ''}{self.host_port}"

    def stop(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listener.close()
        self.drop()

    def drop(self):
        """Ends every connection."""
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._open.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock, contextlib.suppress(OSError, EOFError):
            sock.settimeout(LIMIT)
            if self.silent:
                return sock.recv(65536) and sock.recv(1)
            if self.say is not None:
                sock.recv(1)
                return sock.sendall(self.say)
            first = take(sock, 1)
            target = self._socks(sock) if first == b"\x05" else self._connect(sock, first)
            if target:
                with socket.create_connection(self.to or target, LIMIT) as other:
                    self._open.append(other)
                    relay(sock, other)
        return None

    def _socks(self, sock):
        methods = take(sock, take(sock, 1)[0])
        user = password = None
        if self.users is None or 2 not in methods:
            if self.users is not None or 0 not in methods:
                sock.sendall(b"\x05\xff")
                return None
            sock.sendall(b"\x05\x00")
        else:
            sock.sendall(b"\x05\x02")
            assert take(sock, 1) == b"\x01"
            user = take(sock, take(sock, 1)[0]).decode()
            password = take(sock, take(sock, 1)[0]).decode()
            good = self.users.get(user) == password
            sock.sendall(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                self.asked.append((None, None, user, password))
                return None
        version, command, _, kind = take(sock, 4)
        assert (version, command) == (5, 1)
        host = (socket.inet_ntop(socket.AF_INET, take(sock, 4)) if kind == 1 else
                take(sock, take(sock, 1)[0]).decode() if kind == 3 else socket.inet_ntop(socket.AF_INET6, take(sock, 16)))
        port, = struct.unpack(">H", take(sock, 2))
        self.asked.append((host, port, user, password))
        sock.sendall(bytes([5, self.reply, 0, 1]) + bytes(6))
        return None if self.reply else (host, port)

    def _connect(self, sock, first):
        head = first
        while not head.endswith(b"\r\n\r\n"):
            head += take(sock, 1)
        line, *fields = head.decode().splitlines()
        method, target, _ = line.split(" ")
        auth = next((f.partition(": ")[2] for f in fields if f.lower().startswith("proxy-authorization")), None)
        host, _, port = target.rpartition(":")
        self.asked.append((host, int(port), method, auth))
        if self.reply:
            sock.sendall(f"HTTP/1.1 {self.reply} No\r\nContent-Length: 0\r\n\r\n".encode())
            return None
        sock.sendall(b"HTTP/1.1 200 Fine\r\nX-Of-The-Proxy: 1\r\n\r\n")
        return host.strip("[]"), int(port)


def take(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def relay(a, b):
    def carry(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=carry, args=(b, a), daemon=True)
    back.start()
    carry(a, b)
    back.join(LIMIT)
