"""What other SDKs put on the wire: signed chunks with and without trailers, waiting for 100, reuse of connections."""

import base64
import binascii
import hashlib
import hmac
import http.client
import socket
import time
from urllib.parse import quote, urlsplit

from s3 import body_of, client, owner, ready
from sim import refused

BUCKET = "wire"
EMPTY = hashlib.sha256(b"").hexdigest()


class Signer:
    """Signature version 4, written from its description, for bodies that are signed chunk by chunk."""

    def __init__(self, sim, keys, host, minutes=0):
        clock = sim.call("GET", "/sim/v1/clock", headers=sim.basic).json()["now_ms"] / 1000 + minutes * 60
        self.date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(clock))
        self.scope = f"{self.date[:8]}/us-east-1/s3/aws4_request"
        self.host, self.access = host, keys[0]
        key = ("AWS4" + keys[1]).encode()
        for part in self.scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        self.key, self.last = key, ""

    def sign(self, text):
        self.last = hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()
        return self.last

    def headers(self, method, path, payload, **more):
        """The headers of a request whose body is described by `payload`."""
        named = {"host": self.host, "x-amz-date": self.date, "x-amz-content-sha256": payload}
        named.update({k.replace("_", "-"): v for k, v in more.items()})
        names = ";".join(sorted(named))
        lines = "".join(f"{n}:{named[n]}\n" for n in sorted(named))
        canonical = f"{method}\n{quote(path)}\n\n{lines}\n{names}\n{payload}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = self.sign(f"AWS4-HMAC-SHA256\n{self.date}\n{self.scope}\n{digest}")
        credential = f"Credential={self.access}/{self.scope}"
        named["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
        return named

    def chunk(self, data):
        digest = hashlib.sha256(data).hexdigest()
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{self.date}\n{self.scope}\n{self.last}\n{EMPTY}\n{digest}"
        return b"%x;chunk-signature=%s\r\n%s\r\n" % (len(data), self.sign(text).encode(), data)

    def trailer(self, name, value):
        digest = hashlib.sha256(f"{name}:{value}\n".encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256-TRAILER\n{self.date}\n{self.scope}\n{self.last}\n{digest}"
        return f"{name}:{value}\r\nx-amz-trailer-signature:{self.sign(text)}\r\n\r\n".encode()


DATA = [b"a" * 70_000, b"b" * 65_536, b"c" * 11]


def link(sim):
    place = urlsplit(sim.s3[0])
    return http.client.HTTPConnection(place.hostname, place.port, timeout=30), place.netloc


def send(sim, connection, headers, body, path=f"/{BUCKET}/chunks", method="PUT"):
    connection.request(method, quote(path), body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def check_signed_chunks(sim):
    """A body whose chunks are signed one by one; a changed chunk is refused"""
    s3 = ready(sim, BUCKET)
    for spoil in (False, True):
        connection, host = link(sim)
        signer, whole = Signer(sim, owner(sim), host), b"".join(DATA)
        headers = signer.headers(
            "PUT", f"/{BUCKET}/chunks", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", content_encoding="aws-chunked",
            x_amz_decoded_content_length=str(len(whole)),
        )
        body = b"".join(signer.chunk(d) for d in [*DATA, b""])
        if spoil:
            body = body.replace(b"bbbb", b"bbxb", 1)
        status, text = send(sim, connection, headers, body)
        if spoil:
            assert status == 403 and "SignatureDoesNotMatch" in text, (status, text)
        else:
            assert status == 200, (status, text)
        got = s3.get_object(Bucket=BUCKET, Key="chunks")
        assert body_of(got) == whole
        assert "ContentEncoding" not in got or "aws-chunked" not in got["ContentEncoding"], got["ContentEncoding"]


def crc(data):
    return base64.b64encode(binascii.crc32(data).to_bytes(4, "big")).decode()


def check_signed_trailer(sim):
    """Signed chunks with a signed trailer that carries a checksum; a wrong one is refused"""
    s3 = ready(sim, BUCKET)
    whole = b"".join(DATA)
    for value, expected in ((crc(whole), 200), (crc(b"other"), 400)):
        connection, host = link(sim)
        signer = Signer(sim, owner(sim), host)
        headers = signer.headers(
            "PUT", f"/{BUCKET}/trailer", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", content_encoding="aws-chunked",
            x_amz_decoded_content_length=str(len(whole)), x_amz_trailer="x-amz-checksum-crc32",
        )
        body = b"".join(signer.chunk(d) for d in DATA) + signer.chunk(b"")[:-2] + signer.trailer("x-amz-checksum-crc32", value)
        status, text = send(sim, connection, headers, body, f"/{BUCKET}/trailer")
        assert status == expected, (value, status, text)
    head = s3.head_object(Bucket=BUCKET, Key="trailer", ChecksumMode="ENABLED")
    assert head["ChecksumCRC32"] == crc(whole), head


def check_unsigned_trailer(sim):
    """An unsigned stream with a trailer, cut short, is refused and leaves nothing"""
    s3 = ready(sim, BUCKET)
    connection, host = link(sim)
    headers = Signer(sim, owner(sim), host).headers(
        "PUT", f"/{BUCKET}/short", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", content_encoding="aws-chunked",
        x_amz_decoded_content_length="20", x_amz_trailer="x-amz-checksum-crc32",
    )
    body = f"a\r\n0123456789\r\n0\r\nx-amz-checksum-crc32:{crc(b'0123456789')}\r\n\r\n".encode()
    status, text = send(sim, connection, headers, body, f"/{BUCKET}/short")
    assert status == 400 and "IncompleteBody" in text, (status, text)
    refused(404, s3.head_object, Bucket=BUCKET, Key="short")


def check_wrong_payload_hash(sim):
    """A body that is not what its signed hash says is refused and leaves nothing"""
    s3 = ready(sim, BUCKET)
    connection, host = link(sim)
    headers = Signer(sim, owner(sim), host).headers("PUT", f"/{BUCKET}/hash", hashlib.sha256(b"good").hexdigest())
    status, text = send(sim, connection, headers, b"evil", f"/{BUCKET}/hash")
    assert status == 400 and "XAmzContentSHA256Mismatch" in text, (status, text)
    refused(404, s3.head_object, Bucket=BUCKET, Key="hash")


def check_continue(sim):
    """A client that waits for 100 is told to go on, or refused before it sends"""
    ready(sim, BUCKET)
    place = urlsplit(sim.s3[0])
    for secret_is_good in (True, False):
        keys = owner(sim) if secret_is_good else (owner(sim)[0], "x" * 40)
        headers = Signer(sim, keys, place.netloc).headers("PUT", f"/{BUCKET}/wait", "UNSIGNED-PAYLOAD")
        text = "".join(f"{n}: {v}\r\n" for n, v in headers.items())
        with socket.create_connection((place.hostname, place.port), timeout=30) as plug:
            plug.sendall(f"PUT /{BUCKET}/wait HTTP/1.1\r\n{text}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n".encode())
            first = plug.recv(65536)
            if secret_is_good:
                assert first.startswith(b"HTTP/1.1 100"), first
                plug.sendall(b"hello")
                first = plug.recv(65536)
                assert first.startswith(b"HTTP/1.1 200"), first
            else:
                assert first.startswith(b"HTTP/1.1 403"), first


def check_reuse(sim):
    """One connection serves many requests, also after refusals"""
    s3 = ready(sim, BUCKET)
    s3.put_object(Bucket=BUCKET, Key="reuse", Body=b"r" * 1000)
    connection, host = link(sim)
    for path, expected in (("reuse", 200), ("nothing", 404), ("reuse", 200), ("none/at/all", 404), ("reuse", 200)):
        headers = Signer(sim, owner(sim), host).headers("GET", f"/{BUCKET}/{path}", "UNSIGNED-PAYLOAD")
        status, _ = send(sim, connection, headers, None, f"/{BUCKET}/{path}", "GET")
        assert status == expected, (path, status)
    connection.close()


def check_skew(sim):
    """A request that was signed too long ago, or for too far ahead, is refused"""
    ready(sim, BUCKET)
    for minutes, expected in ((0, 200), (-14, 200), (14, 200), (-16, 403), (16, 403)):
        connection, host = link(sim)
        headers = Signer(sim, owner(sim), host, minutes).headers("GET", f"/{BUCKET}/reuse", "UNSIGNED-PAYLOAD")
        status, text = send(sim, connection, headers, None, f"/{BUCKET}/reuse", "GET")
        assert status == expected and (status == 200 or "RequestTimeTooSkewed" in text), (minutes, status, text)


def check_skew_after_advance(sim):
    """A clock that is moved on does not shut out clients whose clock is the machine's"""
    ready(sim, BUCKET)
    sim.advance(3600)
    assert body_of(client(sim, owner(sim)).get_object(Bucket=BUCKET, Key="reuse")) == b"r" * 1000
