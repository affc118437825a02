"""What a service on the open net meets, all at once, while an honest client keeps working.   hostile.py HOST:PORT PID PICTURE

10,000 connections that say nothing, headers and bodies a byte at a time, half-closed connections, chunk sizes that lie, a
picture of 30,000 x 30,000 in a few kB, clients killed in the middle. The service must answer the honest client all along, keep
its memory, and have no more connections open at the end than before. Start it with `--max-connections 12000 --header-timeout 10s
--body-timeout 10s`. The standard library alone."""
import http.client
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

address, pid, picture = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], "rb").read()
host, port = address.rsplit(":", 1)
port = int(port)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connect(timeout=30):
    s = socket.create_connection((host, port), timeout=timeout)
    return s


def resident():
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) >> 10  # MB


def descriptors():
    return len(os.listdir(f"/proc/{pid}/fd"))


def answer(s):
    """The status of what stands next on the connection; 0 where the service closed it instead."""
    try:
        r = http.client.HTTPResponse(s)
        r.begin()
        r.read()
        return r.status
    except (OSError, http.client.HTTPException):
        return 0


served, slowest, failures = 0, 0.0, []
done = threading.Event()


def honest():
    global served, slowest
    while not done.is_set():
        begin = time.monotonic()
        try:
            c = http.client.HTTPConnection(host, port, timeout=60)
            c.request("POST", "/v1/segment?size=64", picture)
            r = c.getresponse()
            r.read()
            if r.status != 200:
                failures.append(r.status)
            c.close()
        except OSError as e:
            failures.append(repr(e))
        slowest = max(slowest, time.monotonic() - begin)
        served += 1


worker = threading.Thread(target=honest)
worker.start()
time.sleep(2)
before, open_before = resident(), descriptors()

n = min(10000, hard - 200)
idle = [connect() for _ in range(n)]
print(f"{n} idle connections: resident {before} -> {resident()} MB, {descriptors()} descriptors; honest requests so far {served}")
assert descriptors() > n // 2, "they are not held"
assert resident() - before < 200, "memory grows with idle connections"

# A byte a second, of a header and of a body: ended by the time limits, whatever trickles in.
slow = [connect() for _ in range(200)]
for i, s in enumerate(slow):
    s.sendall(b"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\n" + (b"Content-Length: 100000\r\n\r\n" if i % 2 else b""))
ended, begin = 0, time.monotonic()
while slow and time.monotonic() - begin < 25:
    left = []
    for s in slow:
        try:
            s.sendall(b"x")
            s.setblocking(False)
            try:
                s.recv(1000)
                ended += 1  # 408, or the end
                s.close()
                continue
            except BlockingIOError:
                s.setblocking(True)
            left.append(s)
        except OSError:
            ended += 1
    slow = left
    time.sleep(1)
print(f"slowloris: {ended} of 200 ended within {time.monotonic() - begin:.0f} s")
assert ended == 200

# Closed for sending in the middle of a header, and of a body.
for text in (b"POST /v1/seg", b"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nabc"):
    for _ in range(50):
        with connect() as s:
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
            assert answer(s) in (0, 400, 408), "half-closed"

# Chunks of a size that is none, too large, or never ends.
for chunk in (b"FFFFFFFFFFFFFFFF\r\n", b"7FFFFFFFFFFFFFFF\r\nabc", b"-1\r\nabc", b"zz\r\n", b"4" * 20000, b"10000000\r\n" + b"x" * 100):
    with connect() as s:
        try:
            s.sendall(b"POST /v1/segment HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)
        except OSError:
            pass
        status = answer(s)
        assert status in (0, 400, 408, 413), f"chunk {chunk[:20]}: {status}"


def png_bomb(side):
    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    z = zlib.compressobj(9)
    rows = b"".join(z.compress(bytes(1 + side)) for _ in range(side)) + z.flush()
    return (b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) + part(b"IDAT", rows) +
            part(b"IEND", b""))


bomb = png_bomb(30000)
peak = resident()
for _ in range(20):
    c = http.client.HTTPConnection(host, port, timeout=60)
    c.request("POST", "/v1/segment", bomb)
    r = c.getresponse()
    text = r.read()
    assert r.status == 413, (r.status, text)
    peak = max(peak, resident())
print(f"a PNG of 30,000 x 30,000 in {len(bomb) >> 10} kB: {text.decode().strip()}; resident at most {peak} MB")
assert peak - before < 300

# Clients killed in the middle of sending and of waiting.
for _ in range(10):
    code = ("import http.client,sys,threading\n"
            "def f():\n"
            f"  c=http.client.HTTPConnection('{host}',{port}); c.request('POST','/v1/segment',open(sys.argv[1],'rb').read()); c.getresponse()\n"
            "for _ in range(8): threading.Thread(target=f).start()\n")
    p = subprocess.Popen([sys.executable, "-c", code, sys.argv[3]])
    time.sleep(0.3)
    p.send_signal(signal.SIGKILL)
    p.wait()

for s in idle:
    s.close()
begin = time.monotonic()
while descriptors() > open_before + 20 and time.monotonic() - begin < 30:
    time.sleep(0.2)
done.set()
worker.join()
print(f"at the end: resident {resident()} MB, descriptors {open_before} -> {descriptors()}; honest requests {served}, slowest "
      f"{slowest:.2f} s, failed {failures}")
assert descriptors() <= open_before + 20, "connections are left open"
assert not failures and served > 20
print("hostile clients: ok")
